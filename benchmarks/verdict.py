"""What became of a target."""

from dataclasses import dataclass

__all__ = ["Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured of it; ``ratios`` has one number per round."""

    title: str
    wanted: str
    ratios: list[float]
    met: bool

    @property
    def word(self) -> str:
        """Plainly."""
        return "ok" if self.met else "MISSED"
