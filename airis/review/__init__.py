"""What a change does to every stack, as one comment for a pull request: diff, rehearsal, policy."""

from airis.review.command import review

__all__ = ["review"]
