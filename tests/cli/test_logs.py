from __future__ import annotations

from tests.cli.mesh import Shell


def test_explanations_are_of_access_logs(mesh: Shell) -> None:
    result = mesh.clew("logs", "reviews", "--explain")
    assert result.exit_code == 2
    assert "add --access" in result.output
