"""`python -m bench.experiment PLAN --out DIR`: run a plan, and report it.

Exit status: 0 all runs are done and valid, whatever the figures; 1 a run failed, or is not valid; 2 the command line is
wrong; 130 interrupted, with a report of what there is. The same command goes on where it was interrupted.
"""

import shutil
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from bench.capacity import page as capacity_page
from bench.experiment import economy, labels, plan, report, results, summary
from bench.experiment.figures import Drawing, draw_all
from bench.experiment.metrics import Gauges
from bench.experiment.plan import Plan
from bench.experiment.progress import Watch
from bench.experiment.record import Conclusion, Summary, Verdict
from bench.experiment.runner import Runner
from standby_cli import commands

_STYLES: Final = {Verdict.MET: "green", Verdict.MISSED: "red", Verdict.UNDECIDED: "yellow"}


def _shipped() -> dict[str, Path]:
    folder = Path(str(resources.files("bench.experiment"))) / "plans"
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def _plan(_context: click.Context, _parameter: click.Parameter, name: str) -> Plan:
    file = _shipped().get(name, Path(name))
    return plan.load(file)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Shipped plans: {', '.join(_shipped())}.",
)
@click.argument("plan_", metavar="PLAN", callback=_plan)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory of the results; with an interrupted run of the same plan in it, that one goes on.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Serve what is sampled as Prometheus metrics on loopback; 0: the system chooses.",
)
@click.option("--report-only", is_flag=True, help="Run nothing, report what there is.")
def cli(plan_: Plan, out: Path, metrics_port: int | None, *, report_only: bool) -> None:
    """Run the experiments of PLAN (a TOML file, or a shipped plan's name), and write report.html."""
    console = Console(stderr=True)
    gauges = Gauges()
    if metrics_port is not None:
        console.print(f"metrics: http://127.0.0.1:{gauges.serve(metrics_port)}/metrics")
    runner = Runner(plan_, out, gauges)
    try:
        if not report_only:
            _run(runner, console)
    finally:
        console.print("reporting")
        found = _report(plan_, runner, out)
        console.print(f"report: {out / 'report.html'}", soft_wrap=True)
    _show(found, Console())
    if not report_only and not (found.complete and _valid(found)):
        sys.exit(1)


def _run(runner: Runner, console: Console) -> None:
    watch = Watch(console, runner.runs, [run for run in runner.runs if runner.done(run)])
    with commands.terminable(), watch.shown():
        runner.run_all(watch.say, watch.finished)


def _report(plan_: Plan, runner: Runner, out: Path) -> Summary:
    found = summary.summarise(plan_, out, runner.runs)
    commands.write_json(found, out / "summary.json")
    read = results.Results(out)
    drawings = draw_all(read)
    _save([each for drawn in drawings.values() for each in drawn], out / "figures")
    report.write(read, out / "report.html", drawings)
    if sizing := economy.capacity(found):
        (out / "capacity.html").write_text(capacity_page.render(sizing), encoding="utf-8")
    return found


def _save(drawings: Sequence[Drawing], directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for each in drawings:
        (directory / f"{each.stem}.svg").write_bytes(each.svg)
        (directory / f"{each.stem}.png").write_bytes(each.png)


def _valid(found: Summary) -> bool:
    return all(cell.valid == cell.runs for each in found.experiments for cell in each.cells)


def _show(found: Summary, console: Console) -> None:
    """A line for each conclusion; long ones are the terminal's to wrap."""
    for experiment in found.experiments:
        console.print(f"\n[bold]{experiment.title}[/]")
        for each in experiment.conclusions:
            note = f" [dim]({each.note})[/]" if each.note else ""
            verdict = f"{'' if each.verdict is Verdict.MEASURED else each.verdict:12}"
            line = f"{verdict}{_value(each):>8}  {each.required:22}{each.text}{note}"
            console.print(line, style=_STYLES.get(each.verdict), soft_wrap=True, highlight=False)
    problems = [text for each in found.experiments for cell in each.cells for text in cell.problems]
    if problems:
        said = f"{len(problems)} reasons why runs are not valid are in the report; the first"
        console.print(f"{said}: {problems[0]}", soft_wrap=True)


def _value(each: Conclusion) -> str:
    if each.estimate is None:
        return ""
    value = labels.significant(each.estimate.value)
    return f"{value} {each.unit}" if each.unit == "%" else value


if __name__ == "__main__":
    commands.run(cli, "python -m bench.experiment")
