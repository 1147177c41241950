"""Text in Markdown: what people wrote stays text."""

from spam_pipeline.markdown import as_table, as_text


def test_words_are_shown_as_they_are() -> None:
    assert as_text("**b** <img> ![x](y) a|b `c`\n# d") == (r"\*\*b\*\* \<img\> \!\[x\](y) a\|b \`c\` \# d")


def test_cells_of_a_table_stay_in_their_cells() -> None:
    assert as_table(["name", "plays"], [["a|b\n![x](y)", "1"], ["", "2"]]) == (
        "| name | plays |\n| --- | --- |\n" + r"| a\|b \!\[x\](y) | 1 |" + "\n|  | 2 |"
    )
