from docs.generate import CLI, FLAG_WORDS, cli_reference, flag_words


def test_the_command_line_reference_is_that_of_the_commands() -> None:
    assert CLI.read_text() == cli_reference(), "refresh it with: make docs"


def test_the_console_has_the_words_of_response_flags() -> None:
    assert FLAG_WORDS.read_text() == flag_words(), "refresh them with: make docs, make console"
