from clew.agent.resolvers import on_loopback, resolvers_of


def test_resolvers_are_read_and_there_is_always_one() -> None:
    assert resolvers_of("# x\nnameserver 1.1.1.1\nsearch lan\nnameserver ::1\n") == (
        "1.1.1.1",
        "::1",
    )
    assert resolvers_of("") == ("127.0.0.1",)


def test_some_resolvers_are_on_the_machine_itself() -> None:
    assert on_loopback(["127.0.0.53", "10.0.0.2", "::1", "fe80::1%eth0"]) == ("127.0.0.53", "::1")
