"""``mantis-astro train``: train a network."""

import textwrap

from mantis_astro.cli.options import given

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Train a network, or resume a training."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument(
        "config",
        help="TOML file, or the name of a recipe: any-band, early, late, photometric",
    )
    sub.add_argument(
        "-o", "--output", required=True, help="folder of checkpoint, history and model"
    )
    again = sub.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="resume from the checkpoint in the folder (the default)",
    )
    again.add_argument(
        "--fresh", action="store_true", help="start anew, and ignore a checkpoint"
    )
    sub.add_argument("--minutes", type=float, help="length of the training")
    sub.add_argument("--steps", type=int, help="number of steps")
    sub.add_argument("--seed", type=int, help="seed of the first weights and the order")
    sub.add_argument("--workers", type=int, help="processes that prepare batches")
    sub.add_argument("--threads", type=int, help="threads of the training process")
    sub.add_argument("--device", help="device (default: cuda, or else cpu)")
    sub.add_argument(
        "--tensorboard", action="store_true", help="write logs for TensorBoard too"
    )
    sub.add_argument(
        "--dry-run",
        action="store_true",
        help="print the configuration as a recipe and its size, and stop",
    )


def run(options):
    """Run the command."""
    import torch

    from mantis_astro.training import TrainingConfig, describe, train

    config = TrainingConfig.read(options.config)
    asked = given({"seed": options.seed, "n_workers": options.workers})
    length = given({"minutes": options.minutes, "n_steps": options.steps})
    if length:  # alone, whatever the configuration has
        asked |= {"minutes": None, "n_steps": None} | length
    config = config.with_options(**asked)
    if options.dry_run:
        print(config.to_toml())
        print(textwrap.indent(describe(config), "# "))  # all of it can be a recipe
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    result = train(
        config,
        options.output,
        resume=not options.fresh,
        progress=not options.quiet,
        device=options.device,
        tensorboard=options.tensorboard,
    )
    if not result.leads:
        return
    print(f"{result.path}: {result.n_steps:,} steps, {result.stopped}")
    for name, value in result.metrics.items():
        print(f"  {name:22s} {value:.4g}")
