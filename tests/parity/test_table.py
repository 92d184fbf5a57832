from tests.parity.table import README, readme_with_table


def test_the_readme_has_the_table_of_the_tests() -> None:
    text = README.read_text()
    assert readme_with_table(text) == text, "run python -m tests.parity.table"
