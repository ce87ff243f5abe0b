"""Reviews a change: the diff, rehearsal and policy of every stack, as one comment on a pull request."""

from airis.review.command import review

__all__ = ["review"]
