"""Does a running line still give the scores it was calibrated on? An alarm whose false-alarm rate is known.

A conformal test martingale (Vovk, Nouretdinov & Gammerman, "Testing exchangeability on-line", 2003). Each score's rank
among all scores before it, those of the calibration included, is a p-value; as long as nothing has changed, these are
independent and uniform, whatever the distribution, and no way of betting against that can win. So the evidence, which
begins at 1, ever reaches 1 / a with a chance of at most a, however long the line runs (Ville's inequality).

The bets are on scores that rise, fall, spread or gather. Each is begun anew before every part, with a stake that falls
as 1 / (t (t + 1)): a long quiet time costs little, and a change is found soon after it begins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

import numpy as np

from blemish.errors import BadInput
from blemish.metrics.binomial import check_rate

BETS = {
    "higher": (-1.0, 0.0),
    "much higher": (-1.9, 0.0),
    "lower": (1.0, 0.0),
    "much lower": (1.9, 0.0),
    "more spread": (0.0, 0.9),
    "less spread": (0.0, -0.9),
}
"""What is betted on, and the factors a, b of 1 + a (p - 1/2) + b (4 |p - 1/2| - 1), whose mean is 1 for a uniform p."""


class Drift:
    """Watches scores one by one; after an alarm, calibrate and begin anew.

    `good` are the scores of the calibration, in any order, in the mix in which parts are watched. False alarms are at
    most a share `false_alarm` of all such watches. `seed` breaks ties between equal scores at random.
    """

    def __init__(self, good: Iterable[float], *, false_alarm: float = 0.01, seed: int = 0) -> None:
        self.scores = sorted(map(float, good))
        if not self.scores or not np.isfinite(self.scores).all():
            raise BadInput("drift is watched against the scores of a calibration: at least one, all finite")
        self.limit = 1 / check_rate(false_alarm)
        self.false_alarm = false_alarm
        self.seen = 0
        self.since: int | None = None  # the part, counted from 1, with which the alarm came
        self.evidence = 1.0
        self._stakes = dict.fromkeys(BETS, 0.0)
        self._random = np.random.default_rng(seed)

    @property
    def alarm(self) -> bool:
        """Whether there was one."""
        return self.since is not None

    @property
    def change(self) -> str:
        """What the scores seem to have become, most of all: a key of `BETS`."""
        return max(self._stakes, key=lambda bet: self._stakes[bet])

    def add(self, score: float) -> bool:
        """Take the next part's score; whether there is an alarm, now or since an earlier part."""
        p = self._rank(float(score))
        self.seen += 1
        stake = 1 / (self.seen * (self.seen + 1))
        for bet, (tilt, spread) in BETS.items():
            self._stakes[bet] = (self._stakes[bet] + stake) * (1 + tilt * (p - 0.5) + spread * (4 * abs(p - 0.5) - 1))
        self.evidence = sum(self._stakes.values()) / len(BETS) + 1 / (self.seen + 1)
        if self.since is None and self.evidence >= self.limit:
            self.since = self.seen
        return self.alarm

    def _rank(self, score: float) -> float:
        """The share of scores so far, this one among them, that are higher; equal ones by a random part."""
        if not np.isfinite(score):
            raise BadInput(f"the score {score} is not finite: leave that picture out")
        first, last = bisect_left(self.scores, score), bisect_right(self.scores, score)
        higher, equal = len(self.scores) - last, last - first + 1
        insort(self.scores, score)
        return float(higher + self._random.random() * equal) / len(self.scores)
