"""The outbox page's letters. In development only, where mail is shown instead of sent."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from penstock.kit.clock import rfc3339
from penstock.kit.errors import not_found
from penstock.notify.mail import Post

router = APIRouter(tags=["development"])


class LetterView(BaseModel):
    """A letter that was not sent."""

    id: str
    to: str
    subject: str
    text: str
    created_at: str


class LetterList(BaseModel):
    """Letters, newest first."""

    items: list[LetterView] = Field(description="50 at most")


@router.get("/outbox", summary="Read letters that were not sent")
async def list_letters(request: Request) -> LetterList:
    """Return letters to anybody on this machine. There is no such list where mail is really sent."""
    post: Post | None = request.app.state.post
    if post is None or not post.keeps:
        raise not_found("outbox")
    shown = await post.shown()
    return LetterList(
        items=[
            LetterView(
                id=each.id,
                to=each.letter.to,
                subject=each.letter.subject,
                text=each.letter.text,
                created_at=rfc3339(each.created_at),
            )
            for each in shown
        ]
    )
