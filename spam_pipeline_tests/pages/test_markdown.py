"""Text in Markdown: what people wrote stays text."""

from base64 import b64decode

from spam_pipeline.pages.markdown import as_image, as_table, as_text


def test_words_are_shown_as_they_are() -> None:
    assert as_text("**b** <img> ![x](y) a|b `c`\n# d") == (r"\*\*b\*\* \<img\> \!\[x\](y) a\|b \`c\` \# d")


def test_cells_of_a_table_stay_in_their_cells() -> None:
    assert as_table(["name", "plays"], [["a|b\n![x](y)", "1"], ["", "2"]]) == (
        "| name | plays |\n| --- | --- |\n" + r"| a\|b \!\[x\](y) | 1 |" + "\n|  | 2 |"
    )


def test_an_image_holds_the_whole_drawing_under_a_name_that_is_text() -> None:
    head, data = as_image("![x](y)", "<svg>ü</svg>").removesuffix(")").split(",")
    assert head == r"![\!\[x\](y)](data:image/svg+xml;base64"
    assert b64decode(data).decode() == "<svg>ü</svg>"
