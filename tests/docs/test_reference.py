from docs.generate import CLI, cli_reference


def test_the_command_line_reference_is_that_of_the_commands() -> None:
    assert CLI.read_text() == cli_reference(), "refresh it with: make docs"
