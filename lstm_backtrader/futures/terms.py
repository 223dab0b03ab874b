"""The terms an account trades on: which contract and leverage each data has."""

from __future__ import annotations

import dataclasses
from typing import Any

import backtrader as bt

from lstm_backtrader.errors import ConfigError, LeverageError
from lstm_backtrader.futures.commission import FuturesCommission
from lstm_backtrader.futures.contract import Contract

Feed = Any  # Backtrader ships no types: feeds, orders, positions and strategies are Any


class ContractTerms(bt.brokers.BackBroker):
    """Backtrader's broker, asked for contracts and leverage instead of commissions and margins."""

    def set_contract(self, contract: Contract, *, leverage: float, name: str | None = None) -> None:
        """Trade `contract` at `leverage` on the data called `name`, or on all that have none of their own.

        Raises:
            LeverageError: leverage outside 1 ... max_leverage, or so high that a fresh position is liquidated.
        """
        label = contract.symbol or "the contract"
        if not 1.0 <= leverage <= contract.max_leverage:
            raise LeverageError(
                f"leverage {leverage} is outside 1 ... {contract.max_leverage}, the limits of {label}. "
                f"Lower it; in Python `max_leverage={leverage}` allows it, where the exchange does."
            )
        if leverage * contract.maintenance >= 1.0:
            raise LeverageError(
                f"leverage {leverage} with maintenance {contract.maintenance} liquidates {label} at the entry. "
                f"Stay below {1.0 / contract.maintenance:g}."
            )
        self.comminfo[name] = FuturesCommission(
            contract=contract, margin_leverage=float(leverage), commission=contract.taker_fee
        )

    def setcommission(
        self,
        commission: float | None = None,
        margin: float | None = None,
        mult: float = 1.0,
        commtype: int | None = None,
        percabs: bool = True,
        stocklike: bool = False,
        interest: float = 0.0,
        interest_long: bool = False,
        leverage: float | None = None,
        automargin: bool | float = False,
        name: str | None = None,
    ) -> None:
        """What scripts call on Backtrader's broker: one fee for maker and taker, and the leverage.

        Raises:
            ConfigError: fixed commissions, margins, multipliers and interest, which perpetual futures do not have.
        """
        refused = {"margin": margin, "automargin": automargin, "interest": interest}
        refused |= {"mult": mult != 1.0 and mult, "commtype": commtype == bt.CommInfoBase.COMM_FIXED}
        for option, value in refused.items():
            if value:
                raise ConfigError(
                    f"setcommission({option}={value}) has no meaning in a futures account. Its margin follows from "
                    f"the leverage, its cost of holding from the data's funding_rate: leave `{option}` out."
                )
        current = self.comminfo.get(name, self.comminfo[None])
        contract = current.p.contract
        if commission is not None:
            rate = commission if percabs else commission / 100.0
            contract = dataclasses.replace(contract, maker_fee=rate, taker_fee=rate)
        self.set_contract(contract, leverage=current.p.margin_leverage if leverage is None else leverage, name=name)

    def addcommissioninfo(self, comminfo: Any, name: str | None = None) -> None:
        """Only a `FuturesCommission`; others do not know margin as this account does."""
        if not isinstance(comminfo, FuturesCommission):
            raise ConfigError(
                f"addcommissioninfo({type(comminfo).__name__}) does not fit a futures account. "
                "Use set_contract(Contract(...), leverage=...) or setcommission(commission=..., leverage=...)."
            )
        self.set_contract(comminfo.p.contract, leverage=comminfo.p.margin_leverage, name=name)

    def contract(self, data: Feed = None) -> Contract:
        """The contract traded on `data`, or the account's default."""
        info = self.comminfo[None] if data is None else self.getcommissioninfo(data)
        found: Contract = info.p.contract
        return found

    def leverage(self, data: Feed = None) -> float:
        """Notional / margin of new positions on `data`, or the account's default."""
        info = self.comminfo[None] if data is None else self.getcommissioninfo(data)
        return float(info.p.margin_leverage)
