"""Options that are lengths of time, as in 90s or 1h10m."""

from __future__ import annotations

from datetime import timedelta

import click


class DurationType(click.ParamType[timedelta]):
    name = "duration"

    def convert(
        self,
        value: str | timedelta,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> timedelta:
        from clew.model.duration import Duration

        if isinstance(value, timedelta):
            return value
        try:
            return Duration.parse(value).timedelta
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = DurationType()
