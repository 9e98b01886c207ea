"""``mantis-astro campaign``: train on images and redshifts of archives."""

import sys

from mantis_astro.cli.options import DONE, INCOMPLETE

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Train models on redshifts and images of archives, or resume a campaign."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("config", nargs="?", help="TOML file, see --example")
    sub.add_argument("-o", "--output", metavar="DIR", help="folder of the campaign")
    sub.add_argument(
        "--plan", action="store_true", help="print the estimated cost, and stop"
    )
    sub.add_argument(
        "--until",
        metavar="STEP",
        default="report",
        help="last step to run: redshifts, sample, cutouts, train, evaluate or "
        "report (the default)",
    )
    sub.add_argument(
        "-y", "--yes", action="store_true", help="start without confirmation"
    )
    sub.add_argument(
        "--example", action="store_true", help="print an example of a campaign file"
    )
    sub.epilog = (
        "Every step is resumable: the same command goes on after a crash, Ctrl-C, or "
        "images that could not be fetched (exit code 3)."
    )


def run(options):
    """Run the command."""
    from mantis_astro.campaign import Campaign, CampaignConfig, IncompleteError
    from mantis_astro.campaign.configuration import example_campaign

    if options.example:
        print(example_campaign())
        return DONE
    if options.config is None or options.output is None:
        msg = "give a campaign (TOML) and its folder (-o); --example prints a file"
        raise ValueError(msg)
    config = CampaignConfig.read(options.config)
    campaign = Campaign(options.output, config, progress=not options.quiet)
    plan = campaign.plan(options.until)
    print(plan)
    if options.plan:
        return DONE
    if plan.steps and not options.yes and not _agreed():
        msg = "nothing was started: --yes starts without a question"
        raise ValueError(msg)
    try:
        folder = campaign.run(options.until)
    except IncompleteError as error:
        print(error, file=sys.stderr)
        return INCOMPLETE
    if options.until == "report":
        print(folder / "report.rst")
    return DONE


def _agreed():
    """Ask whether to start; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        return False
    return input("start? [y/N] ").strip().lower() in {"y", "yes"}
