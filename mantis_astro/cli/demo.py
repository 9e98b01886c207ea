"""``mantis-astro demo``: the main job, from a local sky."""

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Fetch simulated galaxies from a local sky and predict."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("--output", default="mantis_demo", help="folder for the results")
    sub.add_argument("-n", type=int, default=12, help="number of galaxies")


def run(options):
    """Run the command."""
    from mantis_astro.demo import run_demo

    for line in run_demo(options.output, n=options.n):
        print(line)
