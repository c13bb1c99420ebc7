"""What can be wrong with a picture, and how a customer is told."""

from typing import Final, Literal

from penstock.kit.errors import Action, Problem

Reason = Literal["unsupported_media", "invalid_input", "too_large"]
Fault = Literal["undecodable", "wrong_size", "blank", "unchanged"]

_CHOOSE_ANOTHER: Final = (Action("change_input", "Choose another picture"),)

FAULTS: Final[dict[Fault, str]] = {
    "undecodable": "the provider's answer is not a picture that can be read",
    "wrong_size": "the provider's picture has another shape or is far smaller than what it was given",
    "blank": "the provider's picture is one colour all over",
    "unchanged": "the provider gave back the picture that it was given",
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
    """What a provider delivered can't be given to the customer; `fault` says why. Raised in children."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault

    def __str__(self) -> str:
        return FAULTS[self.fault]


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
