"""Follows circuits with measurements, resets, conditions and noise on the state of any engine."""

from __future__ import annotations

from proxima_trajectories.answers import Answers as Answers
from proxima_trajectories.channels import Channel as Channel
from proxima_trajectories.channels import channel_of as channel_of
from proxima_trajectories.state import State as State
from proxima_trajectories.walk import End as End
from proxima_trajectories.walk import Row as Row
from proxima_trajectories.walk import ends as ends
from proxima_trajectories.walk import rows_of as rows_of

__all__ = ["Answers", "Channel", "End", "Row", "State", "channel_of", "ends", "rows_of"]
