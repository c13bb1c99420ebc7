"""What can be wrong with a picture, and how a customer is told."""

from typing import Final, Literal

from penstock.kit.errors import Action, Problem

Reason = Literal["unsupported_media", "invalid_input", "too_large"]
Fault = Literal["undecodable", "wrong_size", "blank", "unchanged", "still", "wrong_duration"]

_CHOOSE_ANOTHER: Final = (Action("change_input", "Choose another picture"),)

FAULTS: Final[dict[Fault, str]] = {
    "undecodable": "the provider's answer can't be read as what was asked for",
    "wrong_size": "the provider's answer has another shape or is far smaller than it should be",
    "blank": "the provider's answer is one colour all over",
    "unchanged": "the provider gave back the picture that it was given",
    "still": "nothing moves in the provider's video",
    "wrong_duration": "the provider's video is much shorter or longer than was asked for",
}


class RefusedPictureError(Exception):
    """A picture that can't be taken. Raised in children, so it is made of its two arguments alone.

    Args:
        reason: the code of the problem that the customer gets.
        detail: what is wrong and what to do, for the customer.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail

    def problem(self) -> Problem:
        """Return it as a caller is told."""
        return Problem(self.reason, self.detail, actions=_CHOOSE_ANOTHER)


class BadResultError(Exception):
    """What a provider delivered can't be given to the customer; `fault` says why. Raised in children.

    Args:
        detail: what exactly was found, for operators.
    """

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault, detail)
        self.fault: Fault = fault
        self.detail = detail

    def __str__(self) -> str:
        return f"{FAULTS[self.fault]}: {self.detail}" if self.detail else FAULTS[self.fault]


def unreadable() -> RefusedPictureError:
    """Return the error for a picture that decoding stumbled over."""
    return RefusedPictureError(
        "invalid_input", "This picture is damaged or incomplete. Open it, save it again and upload that."
    )


def file_too_large(max_bytes: int) -> Problem:
    """Return the problem for an upload over the limit."""
    return Problem(
        "too_large",
        f"This file is larger than {max_bytes / 1_000_000:g} MB. Save it smaller, as JPEG for example, and try again.",
        actions=_CHOOSE_ANOTHER,
    )
