"""The account against a second, plain account, and against laws no account may break, on random runs."""

import itertools
from dataclasses import replace

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_account import PlainAccount
from plain_worth import Position, Worth
from random_runs import bars_of, market, script_from, tables_from, terms_from
from tickets import CANCEL, Terms, Ticket, play

seeds = st.integers(0, 2**32 - 1)


def drawn(seed, datas=None, **fixed):
    """Terms, tables and a script of one seed."""
    random = np.random.default_rng(seed)
    terms = terms_from(random, **fixed)
    tables = tables_from(random, datas or int(random.integers(1, 3)))
    return terms, tables, script_from(random, terms, tables)


def in_order(fills):
    """Fills as they came, those of liquidations at one moment sorted."""
    groups = itertools.groupby(fills, key=lambda fill: (fill[0], fill[-1] == "liquidation"))
    return [fill for (_, is_forced), group in groups for fill in (sorted(group) if is_forced else group)]


# ---- a second account


@settings(max_examples=300)
@given(seed=seeds)
def test_the_account_equals_a_plain_loop_over_the_bars(seed):
    terms, tables, script = drawn(seed)

    run = play(terms, tables, script)
    plain = PlainAccount(terms, [bars_of(table) for table in tables], script).run()

    ours, theirs = in_order(run.fills), in_order(plain.fills)
    assert [(*fill[:3], fill[-1]) for fill in ours] == [(*fill[:3], fill[-1]) for fill in theirs]
    assert [fill[3:5] for fill in ours] == [pytest.approx(fill[3:5], rel=1e-9) for fill in theirs]
    assert run.equity == pytest.approx(plain.equity, rel=1e-9, abs=1e-9 * terms.cash)
    book = run.broker.ledger
    assert (book.gross_profit, book.fees, book.funding) == pytest.approx(
        (plain.gross, plain.fees, plain.funding), rel=1e-9, abs=1e-9 * terms.cash
    )


def test_the_random_runs_contain_what_the_laws_are_about():
    happened, reasons = set(), set()
    for seed in range(150):
        terms, tables, script = drawn(seed)
        plain = PlainAccount(terms, [bars_of(table) for table in tables], script).run()
        happened |= plain.events
        reasons |= {fill[-1] for fill in plain.fills}

    assert happened == {"refused", "too dear", "triggered", "bankrupt", "funded from margin", "part", "woken"}
    children = {"child stop", "child limit", "child trail", "child stop_limit"}
    entries = {"market", "limit", "stop", "trail", "stop_limit", "trail_limit", "pair", "reduce"}
    assert reasons == children | entries | {"liquidation"}


# ---- money


@settings(max_examples=150)
@given(seed=seeds)
def test_equity_is_never_below_zero_and_never_unexplained(seed):
    terms, tables, script = drawn(seed)

    run = play(terms, tables, script)  # at each bar the strategy compares the book with the equity

    assert min(run.equity) >= 0.0
    assert run.broker.getcash() >= (-1e-9 * terms.cash if not terms.is_cross else -np.inf)


@settings(max_examples=100)
@given(seed=seeds)
@example(seed=248)  # a part is closed of a position whose open profit is all that the account has
def test_trades_gain_what_the_account_gains(seed):
    terms, tables, script = drawn(seed)
    last = len(tables[0]) - 3
    script = {number: tickets for number, tickets in script.items() if number < last}
    flat = [
        Ticket(-side * 1e12, data=data, tradeid=tradeid, reduce_only=True)
        for data in range(len(tables))
        for tradeid in (0, 1)
        for side in (1, -1)
    ]

    run = play(terms, tables, script | {last: [CANCEL, *flat]})

    assert run.broker.margin() == 0.0
    assert run.trade_profit == pytest.approx(run.broker.ledger.gross_profit, rel=1e-9, abs=1e-8 * terms.cash)


@settings(max_examples=60)
@given(seed=seeds, is_cross=st.booleans(), is_inverse=st.booleans())
def test_a_higher_fee_never_leaves_more_money_for_the_same_fills(seed, is_cross, is_inverse):
    terms, tables, script = drawn(seed, is_cross=is_cross, is_inverse=is_inverse, holds_fee=False, forfeits=False)

    cheap = play(replace(terms, taker=0.0002, maker=0.0001, liquidation_fee=0.001), tables, script)
    dear = play(replace(terms, taker=0.0022, maker=0.0021, liquidation_fee=0.003), tables, script)

    for number, (more, less) in enumerate(zip(cheap.equity, dear.equity, strict=True)):
        if [fill for fill in cheap.fills if fill[0] <= number] != [
            fill for fill in dear.fills if fill[0] <= number
        ]:
            break
        assert less <= more * (1 + 1e-12)


@settings(max_examples=100)
@given(seed=seeds, is_inverse=st.booleans(), parts=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_partial_closes_take_their_share_of_margin_and_profit(seed, is_inverse, parts):
    terms = Terms(cash=100.0 if is_inverse else 10_000.0, leverage=3.0, is_inverse=is_inverse, taker=0.0005)
    table = market(np.random.default_rng(seed), bars=6, volatility=0.01).drop(columns="funding_rate")
    size = 5_000.0 if is_inverse else 50.0
    shares = np.array(parts) / sum(parts)

    whole = play(terms, [table], {0: [Ticket(size)], 3: [Ticket(-size)]})
    sliced = play(terms, [table], {0: [Ticket(size)], 3: [Ticket(-size * share) for share in shares]})
    half = play(terms, [table], {0: [Ticket(size)], 3: [Ticket(-size / 2)]})

    assert sliced.equity == pytest.approx(whole.equity, rel=1e-12)
    assert sliced.broker.margin() == pytest.approx(0.0, abs=1e-9)
    entry = whole.fills[0][4]
    margin = size / entry / 3 if is_inverse else size * entry / 3
    assert half.broker.margin() == pytest.approx(margin / 2)
    assert half.broker.ledger.gross_profit == pytest.approx(whole.broker.ledger.gross_profit / 2)


@settings(max_examples=150)
@given(seed=seeds, is_cross=st.booleans())
def test_at_the_liquidation_price_the_balance_equals_the_requirement(seed, is_cross):
    random = np.random.default_rng(seed)
    terms = terms_from(random, is_cross=is_cross, leverage=float(random.choice([2, 5, 20])))
    tables = tables_from(random, 2)
    tables = [table.iloc[:4].drop(columns=[name for name in table if "_" in name]) for table in tables]
    unit = terms.cash * terms.leverage / 6
    units = [unit * (level if terms.is_inverse else 1 / level) * random.uniform(0.1, 1) for level in (100, 20)]
    sides = random.choice([-1, 1], 2)
    orders = [Ticket(sides[data] * units[data], data=data) for data in (0, 1)]

    run = play(terms, tables, {0: orders, 1: orders})

    worth = Worth(terms)
    held = {id(data): (data, as_position(worth, leg)) for data, _, leg in run.broker.legs()}
    for data, position in held.values():
        price = run.broker.liquidation_price(data)
        if not 0.0 < price < np.inf:
            continue
        balance = worth.profit(position, price)
        balance += run.broker.wallet() if is_cross else position.margin
        required = worth.requirement(position, price)
        for other, more in held.values() if is_cross else ():
            if other is not data:
                balance += worth.profit(more, other.close[0])
                required += worth.requirement(more, other.close[0])
        assert balance == pytest.approx(required, rel=1e-9, abs=1e-9 * terms.cash)


def as_position(worth, leg):
    return Position(leg.size, leg.size * worth.w(leg.entry), leg.margin)


@settings(max_examples=60)
@given(seed=seeds)
def test_what_was_real_and_what_was_missing_is_counted(seed):
    terms, tables, script = drawn(seed)

    run = play(terms, tables, script)

    plain = PlainAccount(terms, [bars_of(table) for table in tables], script).run()
    met = [
        (number, row)
        for data, table in enumerate(tables)
        for number, row in enumerate(table.to_dict("records"))
        if data in plain.starts[number]
    ]
    marked = [
        all(row.get(f"mark_{name}", np.nan) > 0 for name in ("open", "high", "low", "close")) for _, row in met
    ]
    has_rate = [row["funding_rate"] == row["funding_rate"] for _, row in met]
    coverage = run.broker.ledger.coverage
    assert coverage.funding_real == sum(has_rate)  # every fourth hour has one, the venue's grid is eight
    assert coverage.funding_missing == sum(
        number % 8 == 0 and not has for (number, _), has in zip(met, has_rate, strict=True)
    )
    assert coverage.funding_mark_imputed == sum(
        has and not is_marked for has, is_marked in zip(has_rate, marked, strict=True)
    )
    assert (coverage.bars_marked, coverage.bars_unmarked) == (sum(marked), len(marked) - sum(marked))


@settings(max_examples=80)
@given(seed=seeds)
def test_several_contracts_steps_slippage_and_partial_fills_keep_the_account_sound(seed):
    random = np.random.default_rng(seed)
    terms = terms_from(random)
    tables = tables_from(random, 2)
    script = script_from(random, terms, tables)
    broker = terms.broker()
    for name in ("0", "1"):
        drawn_terms = terms_from(random, is_inverse=terms.is_inverse, cash=terms.cash)
        steps = {"lot": float(random.choice([0, 0.5, 10])), "tick": float(random.choice([0, 0.01, 0.5]))}
        contract = replace(
            drawn_terms.contract(), **steps, min_notional=float(random.choice([0, 1])), maker_fee=-0.0001
        )
        broker.set_contract(contract, leverage=drawn_terms.leverage, name=name)
    way = random.integers(3)
    if way == 1:
        broker.set_slippage_perc(0.002, slip_open=True)
    if way == 2:
        broker.set_filler(bt.broker.fillers.FixedBarPerc(perc=30.0))
        volumes = [terms.cash * terms.leverage / level for level in (100, 20)]
        tables = [table.assign(volume=volume) for table, volume in zip(tables, volumes, strict=True)]

    run = play(terms, tables, script, broker=broker)  # at each bar the strategy compares the book with the equity

    assert min(run.equity) >= 0.0
    for data in run.datas:
        assert sum(leg.size for _, _, leg in broker.legs(data)) == pytest.approx(broker.getposition(data).size)
    assert all(leg.size and leg.margin >= -1e-9 * terms.cash for _, _, leg in broker.legs())


@settings(max_examples=60)
@given(seed=seeds, is_cross=st.booleans(), side=st.sampled_from([1, -1]))
def test_a_position_is_liquidated_at_the_price_that_was_foretold(seed, is_cross, side):
    random = np.random.default_rng(seed)
    terms = terms_from(random, is_cross=is_cross, leverage=20.0)
    calm = [(100.0, 100.0, 100.0, 100.0)] * 2
    size = side * terms.cash * 15 * (100 if terms.is_inverse else 0.01)
    fall = (100.0, 100.0, 60.0, 60.0) if side > 0 else (100.0, 160.0, 100.0, 160.0)
    index = market(random, bars=3).index
    columns = ["open", "high", "low", "close"]
    still = pd.DataFrame(calm, index[:2], columns).assign(volume=1.0)
    falling = pd.DataFrame([*calm, fall], index, columns).assign(volume=1.0)

    before = play(terms, [still], {0: [Ticket(size)]})
    after = play(terms, [falling], {0: [Ticket(size)]})

    (event,) = after.broker.ledger.liquidation_events
    assert event.price == pytest.approx(before.broker.liquidation_price(before.data), rel=1e-9)


# ---- symmetry


@settings(max_examples=60)
@given(seed=seeds, is_inverse=st.booleans())
def test_a_short_in_the_mirror_gains_what_a_long_gains(seed, is_inverse):
    """Mirrored in price, of an inverse contract in 1 / price; without fees, and far from liquidation."""
    random = np.random.default_rng(seed)
    terms = Terms(cash=1e6, leverage=2.0, is_inverse=is_inverse, taker=0.0, maker=0.0, tiers=((0.0, 0.0),))
    table = market(random, volatility=0.005, mark="").drop(columns="funding_rate")
    script = script_from(random, replace(terms, cash=20_000.0), [table])

    def mirrored(price):
        return 1 / (0.02 - 1 / price) if is_inverse else 200.0 - price

    there = table.copy()
    for name, source in {"open": "open", "high": "low", "low": "high", "close": "close"}.items():
        there[name] = mirrored(table[source])
    run = play(terms, [table], without_shares(script))
    image = play(
        terms,
        [there],
        {n: [turned(ticket, mirrored) for ticket in each] for n, each in without_shares(script).items()},
    )

    assert [fill[0] for fill in image.fills] == [fill[0] for fill in run.fills]
    assert [-fill[3] for fill in image.fills] == pytest.approx([fill[3] for fill in run.fills])
    assert image.equity == pytest.approx(run.equity, rel=1e-9)


def without_shares(script):
    """The script without orders whose distance is a share of the price, which no mirror keeps."""
    kept = {}
    for number, tickets in script.items():
        kept[number] = [
            replace(
                ticket, rival=None, children=tuple(fixed(child) for child in ticket.children if not child.trail)
            )
            for ticket in tickets
            if ticket != CANCEL and not ticket.trail
        ]
    return kept


def fixed(child):
    return replace(child, from_fill=None, wakes_from_fill=None)


def turned(ticket, mirrored):
    return replace(
        ticket,
        size=-ticket.size,
        price=mirrored(ticket.price),
        limit=mirrored(ticket.limit),
        children=tuple(turned(child, mirrored) for child in ticket.children),
    )


@settings(max_examples=60)
@given(seed=seeds, price_scale=st.sampled_from([0.001, 3.0, 1000.0]), money_scale=st.sampled_from([0.01, 7.0]))
def test_prices_and_money_in_other_units_scale_equity(seed, price_scale, money_scale):
    terms, tables, script = drawn(seed)
    size_scale = money_scale * price_scale if terms.is_inverse else money_scale / price_scale

    def scaled(ticket):
        if ticket == CANCEL:
            return ticket
        made = replace(
            ticket,
            size=ticket.size * size_scale,
            price=ticket.price * price_scale,
            limit=ticket.limit * price_scale,
            rival=known.get(ticket.rival),
            children=tuple(scaled(child) for child in ticket.children),
        )
        known[ticket] = made
        return made

    known = {}
    larger = replace(
        terms,
        cash=terms.cash * money_scale,
        tiers=tuple((floor * money_scale, rate) for floor, rate in terms.tiers),
    )
    there = [
        table.assign(
            **{name: table[name] * price_scale for name in table if name not in ("volume", "funding_rate")}
        )
        for table in tables
    ]

    run = play(terms, tables, script)
    image = play(
        larger, there, {number: [scaled(ticket) for ticket in tickets] for number, tickets in script.items()}
    )

    assert [fill[:3] for fill in in_order(image.fills)] == [fill[:3] for fill in in_order(run.fills)]
    assert np.array(image.equity) / money_scale == pytest.approx(run.equity, rel=1e-9, abs=1e-9 * terms.cash)


# ---- modes


@settings(max_examples=40)
@given(seed=seeds)
def test_every_mode_of_backtrader_gives_the_same_account(seed):
    terms, tables, script = drawn(seed)
    modes = [{}, {"runonce": False}, {"preload": False}, {"exactbars": 1}]

    runs = [play(terms, tables, script, **mode) for mode in modes]

    for run in runs[1:]:
        assert run.equity == runs[0].equity
        assert run.fills == runs[0].fills


# ---- isolated positions


@settings(max_examples=60)
@given(seed=seeds, is_inverse=st.booleans(), move=st.floats(-0.02, 0.02), size=st.floats(0.1, 3.0))
def test_what_an_isolated_position_shows_changes_nothing_for_the_next(seed, is_inverse, move, size):
    """The second data's position gains or loses as it likes: the first data's orders fare the same."""
    terms = Terms(cash=100.0 if is_inverse else 10_000.0, leverage=10.0, is_inverse=is_inverse)
    random = np.random.default_rng(seed)
    tables = [
        market(random, bars=12, volatility=0.005, level=level).drop(columns="funding_rate") for level in (100, 20)
    ]
    moved = tables[1].copy()
    moved.iloc[4:, :4] *= 1 + move
    unit = terms.cash * 10 * (100 if is_inverse else 0.01)
    held = terms.cash * 4 * (20 if is_inverse else 0.05)
    script = {0: [Ticket(held, data=1)], 6: [Ticket(unit * 0.3 * size), Ticket(unit * 0.2, "limit", 100.0)]}

    runs = [play(terms, [tables[0], other], script) for other in (tables[1], moved)]

    first, second = ([fill for fill in run.fills if fill[1] == 0] for run in runs)
    assert first == second
    statuses = [[order.status for order in run.orders] for run in runs]
    assert statuses[0] == statuses[1]


# ---- the guess inside a bar


@settings(max_examples=200)
@given(
    seed=seeds,
    side=st.sampled_from([1, -1]),
    stop=st.floats(0.002, 0.05),
    target=st.floats(0.002, 0.05),
    is_inverse=st.booleans(),
    leverage=st.sampled_from([1.0, 10.0, 25.0]),
)
def test_the_pessimistic_account_never_ends_above_the_optimistic(seed, side, stop, target, is_inverse, leverage):
    table = market(np.random.default_rng(seed), volatility=0.02).drop(columns="funding_rate")
    close = float(table["close"].iloc[0])
    terms = Terms(cash=100.0 if is_inverse else 10_000.0, leverage=leverage, is_inverse=is_inverse)
    size = side * terms.cash * (close if is_inverse else 1 / close) / 2
    children = (
        Ticket(-size, "stop", close * (1 - side * stop), from_fill=-side * stop, reduce_only=True),
        Ticket(-size, "limit", close * (1 + side * target), from_fill=side * target, reduce_only=True),
    )
    script = {0: [Ticket(size, children=children)]}

    worse, better = (play(replace(terms, is_pessimistic=which), [table], script) for which in (True, False))

    assert worse.equity[-1] <= better.equity[-1] * (1 + 1e-12)


@settings(max_examples=100)
@given(seed=seeds, is_cross=st.booleans())
def test_the_two_guesses_part_only_in_a_bar_that_is_counted(seed, is_cross):
    """Without trailing stops and entries inside a bar, whose own course is a guess too."""
    random = np.random.default_rng(seed)
    terms = terms_from(random, is_cross=is_cross)
    tables = tables_from(random, 1)
    script = {
        number: [replace(ticket, children=tuple(kept(child) for child in ticket.children if is_plain(child)))]
        for number, tickets in script_from(random, terms, tables).items()
        for ticket in tickets
        if ticket != CANCEL and ticket.kind == "market"
    }

    one, other = (play(replace(terms, is_pessimistic=which), tables, script) for which in (True, False))

    times = list(tables[0].index)
    counted = {times.index(moment(bar)) for run in (one, other) for bar in run.broker.ledger.ambiguous_bars}
    parted = [
        n for n, (a, b) in enumerate(zip(one.equity, other.equity, strict=True)) if abs(a - b) > 1e-9 * terms.cash
    ]
    assert not parted or parted[0] in counted


def is_plain(child):
    return child.kind in ("stop", "limit")


def kept(child):
    return replace(child, reduce_only=True)


def moment(bar):
    return pd.Timestamp(bt.num2date(bar.time), tz="UTC").round("s")


@settings(max_examples=80)
@given(seed=seeds, every=st.sampled_from([2, 4, 12]))
def test_shorter_bars_within_the_bars_are_the_run_on_the_shorter_bars(seed, every):
    random = np.random.default_rng(seed)
    terms = terms_from(random)
    fine = tables_from(random, int(random.integers(1, 3)), bars=48)
    coarse = [together(table, every) for table in fine]
    script = script_from(random, terms, coarse)
    names = {str(number): table for number, table in enumerate(fine)}

    run = play(terms, coarse, script, broker=terms.broker(intrabar_candles=names))
    shorter = play(terms, fine, script, every=every)

    assert run.equity == pytest.approx(shorter.equity[every - 1 :: every], rel=1e-9, abs=1e-9 * terms.cash)
    assert [fill[1:] for fill in run.fills] == [fill[1:] for fill in shorter.fills]
    assert run.broker.ledger.funding == pytest.approx(shorter.broker.ledger.funding, abs=1e-9 * terms.cash)
    assert run.broker.ledger.coverage == shorter.broker.ledger.coverage


def together(table, every):
    """Longer bars that hold what the shorter ones do; what is known of marks and rates lies in the shorter."""
    steps = table.groupby(np.arange(len(table)) // every)
    bars = steps.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    return bars.set_axis(table.index[::every])
