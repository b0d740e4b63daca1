"""What the end of a dataset's name asks for: words with a value each, as in factors:known=0.1,without=x-y."""

from collections.abc import Iterable

from minigan.errors import MiniganError, did_you_mean


def words_in(who: str, how: str, words: Iterable[str], example: str) -> dict[str, str]:
    """The values in `how`, "known=0.1,without=x-y", by their words; none of an empty text. who: the dataset,
    for errors. words: those that there are. MiniganError for a word that is unknown, has no value or is there
    twice."""
    told: dict[str, str] = {}
    for part in how.split(",") if how else ():
        word, equals, value = (text.strip() for text in part.partition("="))
        if word not in words or not equals:
            raise MiniganError(
                f"{who}: {part!r} is not a word with its value, as in {who}:{example}; "
                f"{did_you_mean(word, words)}"
            )
        if word in told:
            raise MiniganError(f"{who}: {word} is there twice")
        told[word] = value
    return told
