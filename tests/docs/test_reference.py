from docs.generate import TARGET, cli_reference


def test_the_command_line_reference_is_that_of_the_commands() -> None:
    assert TARGET.read_text() == cli_reference(), "refresh it with: make docs"
