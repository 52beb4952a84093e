"""Questions on clocks, weekdays, dates and years."""

from __future__ import annotations

import random
from calendar import day_name
from collections.abc import Iterator
from datetime import date, timedelta

from rmx.data.demo.items import Item
from rmx.data.demo.solutions import NO_SLIP, Slip, Solution, draw_slip, worked_item


def calendar(rng: random.Random) -> Iterator[Item]:
    """Yield questions on clocks, weekdays and dates, without end."""
    while True:
        solve = rng.choice([_clock, _weekday, _days_between, _age])
        seed = rng.random()
        right, wrong = (solve(random.Random(seed), slip) for slip in (NO_SLIP, draw_slip(rng)))
        yield worked_item(right, wrong, rng)


def _clock(rng: random.Random, slip: Slip) -> Solution:
    thing = rng.choice(["film", "concert", "match", "lecture", "flight", "meeting", "train ride"])
    start, hours = rng.randrange(8 * 60, 20 * 60, 5), rng.randint(1, 3)
    rest = rng.randrange(20, 45, 5)  # far enough from a full hour for every slip
    minutes = 60 * hours + rest
    rest += 5 * slip[0]
    middle, end = start + 60 * hours, start + 60 * hours + rest + 5 * slip[1]
    clock = lambda t: f"{t // 60 % 24}:{t % 60:02}"  # noqa: E731
    return Solution(
        f"A {thing} starts at {clock(start)} and lasts {minutes} minutes.",
        f"When does the {thing} end?",
        (
            f"{minutes} minutes are {hours} h and {rest} min.",
            f"{hours} h after {clock(start)} it is {clock(middle)}, {rest} min later {clock(end)}.",
        ),
        (f"{minutes} min = {hours} h {rest} min", f"{clock(middle)} + {rest} min = {clock(end)}"),
        f"{clock(end)}",
    )


def _weekday(rng: random.Random, slip: Slip) -> Solution:
    today, ahead = rng.randrange(7), rng.choice([d for d in range(16, 95) if d % 7])
    weeks, days = divmod(ahead, 7)
    days += slip[0]
    end = day_name[(today + days + slip[1]) % 7]
    return Solution(
        f"Today is a {day_name[today]}.",
        f"Which day of the week will it be in {ahead} days?",
        (
            f"{ahead} days are {weeks} weeks and {days} days.",
            f"After the weeks it is a {day_name[today]} again, and {days} days later a {end}.",
        ),
        (f"{ahead} = 7 x {weeks} + {days}", f"{day_name[today]} + {days} days = {end}"),
        f"a {end}",
    )


def _days_between(rng: random.Random, slip: Slip) -> Solution:
    start = date(2023, 1, 1) + timedelta(rng.randrange(300))
    month_end = (start.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)
    end = month_end + timedelta(rng.randrange(3, 28))
    rest = month_end.day - start.day + slip[0]
    total = rest + end.day + slip[1]
    event = rng.choice(["holidays", "exam", "wedding", "festival", "race", "move"])
    return Solution(
        f"It is {start:%B} {start.day}. The {event} will be on {end:%B} {end.day}.",
        f"How many days is that from now to the {event}?",
        (
            f"{start:%B} has {month_end.day} days, so {rest} days of it are left.",
            f"With the days of {end:%B} that makes {rest} + {end.day} = {total}.",
        ),
        (f"{month_end.day} - {start.day} = {rest}", f"{rest} + {end.day} = {total}"),
        f"{total} days",
    )


def _age(rng: random.Random, slip: Slip) -> Solution:
    thing = rng.choice(["bridge", "church", "company", "newspaper", "theatre", "railway", "school"])
    built, later = rng.randrange(1820, 1930), rng.randrange(12, 70)
    rebuilt = built + later + slip[0]
    age = 2020 - rebuilt + slip[1]
    return Solution(
        f"A {thing} was founded in {built} and renewed {later} years later.",
        f"How long before 2020 was the {thing} renewed?",
        (
            f"The {thing} was renewed in {built} + {later} = {rebuilt}.",
            f"From then to 2020 it is 2020 - {rebuilt} = {age} years.",
        ),
        (f"{built} + {later} = {rebuilt}", f"2020 - {rebuilt} = {age}"),
        f"{age} years",
    )
