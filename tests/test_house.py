"""The house itself: who may import whom, what an import costs, and that packaging tells the truth."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lstm_backtrader
from lstm_backtrader import errors

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "lstm_backtrader"
HOMES = {
    PACKAGE: ROOT / PACKAGE,
    f"{PACKAGE}.strategies": ROOT / "strategies",
    f"{PACKAGE}.datafeeds": ROOT / "datafeeds",
}

# Floors of the house: a file imports from its own floor (never in a circle) or from below. Every file is listed,
# so that a new one has to find its place first.
FLOORS = {
    0: """errors candles candle_check candle_files table_files event_files events
        own_module own_files quiet joining whole_files futures.rules datafeeds.spans
        datafeeds.series datafeeds.store_manifest datafeeds.store datafeeds.stored datafeeds.store_check
        datafeeds.store_files datafeeds.ccxt_habits""",
    1: """datafeeds.loopback.market datafeeds.loopback.faults datafeeds.loopback.shelf datafeeds.loopback.binance
        datafeeds.loopback.bybit datafeeds.loopback.bingx datafeeds.loopback.bitget datafeeds.loopback.bitmex
        datafeeds.loopback.server datafeeds.loopback.adapter datafeeds.ccxt_errors datafeeds.ccxt_bitmex
        datafeeds.ccxt_client datafeeds.ccxt_history datafeeds.downloading
        forecast.protocol forecast.features forecast.labels forecast.context forecast.quality
        forecast.dataset forecast.findings forecast.audit forecast.audit_subjects forecast.manifest
        forecast.barriers forecast.description forecast.step forecast.cache forecast.function_code forecast.history
        forecast.train_config forecast.material forecast.schedule forecast.folds forecast.named forecast.registry
        forecast.windows forecast.price_features forecast.flow_features forecast.indicator_features
        forecast.audit_events forecast.source_files forecast.audit_record forecast.array_files
        forecast.zigzag forecast.elliott forecast.wave_series forecast.elliott_features forecast.elliott_null
        forecast.time_features forecast.talib_features forecast.classes forecast.targets forecast.catalogue
        forecast.skill forecast.calibration forecast.conformal forecast.ridge forecast.drift forecast.verdict
        futures.contract futures.ccxt_markets futures.venue_files futures.venues futures.bar
        futures.leg futures.ledger forecast.trials forecast.ledger reporting.metrics
        reporting.bootstrap reporting.significance reporting.fold_figures
        reporting.trade reporting.tradebook reporting.run_record
        reporting.equity_files reporting.equity_input reporting.holding reporting.panels
        reporting.trade_figures reporting.forecast_figures reporting.segments reporting.sensitivity
        reporting.tables reporting.drawings reporting.provenance reporting.writing
        datafeeds.synthetic datafeeds.grouping""",
    2: """forecast.network forecast.strided forecast.artefact forecast.inference forecast.validation
        forecast.training
        forecast.net_threads forecast.scheduled forecast.foreign forecast.foreign_net forecast.objective
        forecast.walkforward forecast.shuffled forecast.retraining forecast.importance forecast.unseen
        forecast.rivals forecast.bands forecast.pool forecast.pooling forecast.fold_forecast
        forecast.evaluation_scene forecast.evaluation_skill forecast.evaluation_doubts forecast.evaluation""",
    3: """indicators.stamps indicators.tape indicators.lstm indicators.models indicators.elliott
        futures.commission futures.terms futures.account futures.fills futures.admission futures.liquidation
        futures.matching futures.coverage futures.finer futures.playing futures.broker
        reporting.recorder reporting.standing reporting.valuation reporting.notes reporting.look_ahead
        datafeeds.pace datafeeds.frames datafeeds.following
        datafeeds.replaying datafeeds.store_feed datafeeds.live_market datafeeds.journal
        datafeeds.resample datafeeds.ccxt_live""",
    4: """strategies.situation strategies.rules strategies.reading strategies.desk strategies.sizing
        strategies.parameters strategies.entries strategies.confluence strategies.line_exits strategies.timed_exits
        strategies.exits strategies.signal_parameters strategies.signal_futures strategies.lstm_futures
        strategies.baselines strategies.elliott_futures strategies.together strategies.signal_basket
        strategies.lstm_basket strategies.blackout strategies.event_futures strategies.limits
        strategies.guards
        reporting.chart reporting.linked reporting.page reporting.learning reporting.luck reporting.tearsheet
        reporting.run_panels reporting.account_sections reporting.trade_sections reporting.forecast_sections
        reporting.compared reporting.comparison reporting.run_page reporting.run_story reporting.document
        reporting.report reporting.evaluation_page reporting.wave_chart reporting.guard_section""",
    5: """paper_account paper_trading
        download_command btrun data_command store_table report_tables train_files instruments
        session bookkeeping trading backtesting evaluating demo venue_tables ledger_table evaluation_tables
        written_rules options option_blocks config_file terminal mistakes
        commands.given commands.trading commands.training commands.judging commands.reports commands.market_data
        cli __main__ testing
        auditing.watching auditing.witness auditing.timing auditing.runs auditing.keeping
        auditing.subjects auditing.command tuning.config tuning.space tuning.space_file tuning.spans tuning.recorded
        tuning.stage tuning.score tuning.workers tuning.study tuning.search tuning.section tuning.tables
        tuning.tune""",
}
FLOOR_OF = {f"{PACKAGE}.{name}": floor for floor, names in FLOORS.items() for name in names.split()}
SUBPACKAGES = (
    "commands",
    "forecast",
    "futures",
    "indicators",
    "reporting",
    "auditing",
    "tuning",
    "strategies",
    "datafeeds",
    "datafeeds.loopback",
)
LISTS_OF_NAMES = {PACKAGE, *(f"{PACKAGE}.{name}" for name in SUBPACKAGES)}

# A library -> the modules that may import it; "." at the end stands for a whole sub-package.
ALLOWED = {
    "torch": """forecast.network forecast.strided forecast.artefact forecast.inference forecast.training
        forecast.foreign forecast.foreign_net forecast.objective forecast.walkforward""",
    "joblib": "forecast.walkforward",
    "safetensors": "forecast.artefact forecast.foreign_net",
    "pydantic": """forecast.audit_record forecast.manifest forecast.schedule forecast.trials forecast.ledger
        forecast.shuffled config_file futures.venue_files datafeeds.store_manifest paper_account
        tuning.space_file""",
    "backtrader": """indicators. futures.commission futures.terms futures.admission futures.matching
        futures.playing futures.broker reporting.recorder reporting.standing
        datafeeds.pace datafeeds.frames datafeeds.following datafeeds.resample
        datafeeds.ccxt_live strategies. session instruments auditing. trading backtesting paper_trading demo cli
        btrun""",
    "ccxt": "datafeeds.ccxt_client datafeeds.ccxt_errors datafeeds.ccxt_bitmex datafeeds.ccxt_live",
    "requests": "datafeeds.ccxt_client datafeeds.loopback.adapter",
    "talib": "forecast.talib_features",
    "quantstats": "reporting.tearsheet",
    "matplotlib": "reporting.tearsheet",
    "plotly": "reporting.linked",
    "typer": "cli options commands.",
    "optuna": "tuning.study tuning.search",
    "arch": "reporting.significance",
    "rich": """terminal store_table report_tables venue_tables ledger_table evaluation_tables
        tuning.tables""",
}


def modules():
    """Name -> path of every module; the links inside the package are not followed."""
    found = {}
    for home, folder in HOMES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if home == PACKAGE and parts[0] in ("strategies", "datafeeds"):
                continue
            name = ".".join((home, *parts))
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()
FILES = {name: path for name, path in MODULES.items() if name not in LISTS_OF_NAMES}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
each_module = pytest.mark.parametrize("name", MODULES)
each_file = pytest.mark.parametrize("name", FILES)


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported(name, late=True):
    """Modules that `name` imports by full name; without `late` only those its own import loads."""
    found = set()

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
                    package = ".".join(package.split(".")[: len(package.split(".")) - child.level + 1])
                    base = f"{package}.{base}".rstrip(".")
                submodules = {f"{base}.{alias.name}" for alias in child.names} & MODULES.keys()
                found.update(submodules or {base})
            elif not (is_for_types(child) or (isinstance(child, ast.FunctionDef) and not late)):
                visit(child)

    visit(TREES[name])
    return found


# --- floors -------------------------------------------------------------------------------------------------


@each_file
def test_every_file_has_a_floor(name):
    assert name in FLOOR_OF, f"{name} has no floor yet: add it to FLOORS, as low as its imports allow"


@each_file
def test_a_file_imports_from_its_own_floor_or_below(name):
    for other in imported(name):
        if other.startswith(f"{PACKAGE}."):
            assert FLOOR_OF.get(other, 99) <= FLOOR_OF[name], f"{name} (floor {FLOOR_OF[name]}) imports {other}"


def test_no_file_imports_the_list_of_public_names():
    # `lstm_backtrader.x` names resolve to anything on any floor; the version alone may be asked for
    askers = {name for name in FILES if imported(name) & LISTS_OF_NAMES}
    assert askers <= {f"{PACKAGE}.forecast.training", f"{PACKAGE}.cli"}


def test_imports_go_in_no_circle():
    graph = {name: {other for other in imported(name) if other in FILES} for name in FILES}
    while True:
        free = {name for name, needs in graph.items() if not needs & graph.keys()}
        if not free:
            break
        graph = {name: needs for name, needs in graph.items() if name not in free}
    assert not graph, f"in a circle, or above one: {sorted(graph)}"


@each_module
def test_libraries_are_imported_only_where_they_belong(name):
    short = name.removeprefix(f"{PACKAGE}.")
    for library in {other.partition(".")[0] for other in imported(name)} & ALLOWED.keys():
        places = ALLOWED[library].split()
        allowed = short in places or any(place.endswith(".") and short.startswith(place) for place in places)
        assert allowed, f"{name} imports {library}"


@each_module
@pytest.mark.parametrize("library", ["ccxt", "quantstats", "plotly", "matplotlib", "talib", "arch", "optuna"])
def test_slow_libraries_load_inside_the_function_that_needs_them(name, library):
    assert library not in {other.partition(".")[0] for other in imported(name, late=False)}


def test_the_rules_of_the_market_know_only_math():
    assert imported(f"{PACKAGE}.futures.rules") <= {"__future__", "math"}


def test_the_indicator_loads_torch_only_with_a_path():
    assert f"{PACKAGE}.forecast.inference" not in imported(f"{PACKAGE}.indicators.lstm", late=False)


# --- what an import costs -----------------------------------------------------------------------------------


def loaded_by(statement):
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    return set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import lstm_backtrader")
    heavy = {"torch", "ccxt", "quantstats", "plotly", "backtrader", "matplotlib", "pandas", "numpy", "pydantic"}
    assert PACKAGE in loaded
    assert loaded & heavy == set()
    assert loaded_by("import lstm_backtrader.errors") & heavy == set()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("from lstm_backtrader import LSTMSignal", {"torch", "ccxt", "quantstats", "plotly", "matplotlib"}),
        ("from lstm_backtrader import read_candles", {"torch", "backtrader", "ccxt", "quantstats", "plotly"}),
        ("from lstm_backtrader import load_model", {"backtrader", "ccxt", "quantstats", "plotly", "matplotlib"}),
        ("from lstm_backtrader import FuturesBroker, run", {"torch", "ccxt", "quantstats", "plotly", "matplotlib"}),
        ("from lstm_backtrader import strategies, datafeeds", {"torch", "backtrader", "ccxt"}),
        ("from lstm_backtrader.datafeeds import synthetic_market", {"torch", "backtrader", "ccxt"}),
    ],
)
def test_a_public_name_loads_only_what_it_needs(statement, absent):
    assert loaded_by(statement) & absent == set()


# --- public names -------------------------------------------------------------------------------------------


def type_checking_names(name):
    """Public name -> module it comes from, as the TYPE_CHECKING block of a package has it."""
    block = next(node for node in TREES[name].body if is_for_types(node))
    return {alias.name: node.module for node in block.body for alias in node.names}


def home_of(package):
    module = sys.modules[package]
    homes = {name: home if home.startswith(PACKAGE) else f"{package}.{home}" for name, home in module._HOME.items()}
    return homes | dict.fromkeys(getattr(module, "_SUBPACKAGES", ()), package)


@pytest.mark.parametrize("package", [PACKAGE, f"{PACKAGE}.strategies", f"{PACKAGE}.datafeeds"])
def test_the_three_lists_of_public_names_agree(package):
    __import__(package)
    module = sys.modules[package]
    assert list(module.__all__) == sorted(module.__all__)
    assert home_of(package).keys() == set(module.__all__)
    assert home_of(package) == type_checking_names(package)


@pytest.mark.parametrize("package", [PACKAGE, f"{PACKAGE}.strategies", f"{PACKAGE}.datafeeds"])
def test_every_public_name_resolves_and_is_listed(package):
    __import__(package)
    module = sys.modules[package]
    for name in module.__all__:
        value = getattr(module, name)
        assert value is getattr(module, name)
        home = getattr(value, "__module__", None)
        assert home is None or home == home_of(package)[name]
        assert name in dir(module)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'LTSMSignal'"):
        lstm_backtrader.LTSMSignal  # noqa: B018 - looking is the test


def test_every_exception_is_drawn_in_the_tree():
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(re.findall(r"\w+Error", errors.__doc__)) == set(classes)
    assert all(issubclass(value, errors.LbtError) for value in classes.values())


# --- packaging ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lines(text):
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def test_the_packages_listed_are_those_on_disk(setup_cfg):
    on_disk = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert set(lines(setup_cfg["options"]["packages"])) == on_disk == LISTS_OF_NAMES


def test_every_folder_with_code_is_a_package():
    for folder in {path.parent for path in MODULES.values()}:
        assert (folder / "__init__.py").is_file(), f"{folder} has no __init__.py"


def test_strategies_and_datafeeds_install_under_the_package(setup_cfg):
    assert lines(setup_cfg["options"]["package_dir"]) == [
        "lstm_backtrader.strategies = strategies",
        "lstm_backtrader.datafeeds = datafeeds",
    ]


@pytest.mark.parametrize("name", ["strategies", "datafeeds"])
def test_the_links_are_relative_and_lead_to_the_folders(name):
    link = ROOT / PACKAGE / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert link.resolve() == ROOT / name


@pytest.mark.parametrize("name", ["strategies", "datafeeds"])
def test_nothing_imports_the_folders_by_their_short_name(name):
    assert not [module for module in MODULES if name in {other.partition(".")[0] for other in imported(module)}]


def requirement_name(line):
    return re.split(r"[<>=!~;\[ ]", line)[0].lower().replace("_", "-")


def test_every_dependency_is_pinned(setup_cfg):
    pins = lines((ROOT / "constraints.txt").read_text())
    assert all(re.fullmatch(r"[\w.-]+==[\w.+-]+", line) for line in pins)
    wanted = lines(setup_cfg["options"]["install_requires"]) + lines(setup_cfg["options.extras_require"]["dev"])
    assert {requirement_name(line) for line in wanted} <= {requirement_name(line) for line in pins}


def test_every_import_is_a_declared_dependency(setup_cfg):
    extras = setup_cfg["options.extras_require"]
    wanted = lines(setup_cfg["options"]["install_requires"])
    wanted += [line for name in extras if name not in ("dev", "bench") for line in lines(extras[name])]
    declared = {requirement_name(line) for line in wanted}
    imported_as = {"talib": "ta-lib"}
    libraries = {other.partition(".")[0] for name in MODULES for other in imported(name)}
    outside = libraries - set(sys.stdlib_module_names) - {PACKAGE}
    assert {imported_as.get(library, library).lower() for library in outside} <= declared


def test_the_version_is_one(setup_cfg):
    assert setup_cfg["metadata"]["version"] == lstm_backtrader.__version__


# --- habits -------------------------------------------------------------------------------------------------


@each_module
def test_no_file_is_named_after_nothing(name):
    assert not re.search(r"util|common|helper|manager|misc", name.rpartition(".")[2], re.IGNORECASE)
    classes = [node.name for node in ast.walk(TREES[name]) if isinstance(node, ast.ClassDef)]
    assert not [found for found in classes if found.endswith(("Manager", "Helper", "Utils"))]


@each_module
def test_a_file_says_first_what_it_is(name):
    docstring = ast.get_docstring(TREES[name])
    assert docstring, f"{name} has no docstring"
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":", "::")), docstring


@each_module
def test_no_error_is_swallowed_and_nothing_is_unpickled(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("everything", "Exception", "BaseException"), f"{name}:{node.lineno}"
    unsafe = {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
    assert not unsafe & {other.partition(".")[0] for other in imported(name)}
    names = {
        alias.name
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module == "joblib"
    }
    assert names <= {"Parallel", "delayed"}, "joblib is for threads; what it loads is a pickle"


@each_module
def test_nothing_is_asserted_and_only_the_command_line_prints(name):
    for node in ast.walk(TREES[name]):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            assert name == f"{PACKAGE}.mistakes", f"{name}:{node.lineno}"


@each_module
def test_importing_changes_nothing_for_others(name):
    for node in TREES[name].body:
        called = (
            ast.unparse(node.value.func) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else ""
        )
        assert not re.search(r"filterwarnings|simplefilter|seed|set_option|set_num_threads|basicConfig", called)
