"""``mantis-astro models``: list the models."""

from mantis_astro.cli.options import model_names

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "List the models, or describe one."


def add_arguments(sub):
    """Add the arguments of the command."""
    name = sub.add_argument("name", nargs="?", help="a model to describe: name or file")
    name.words = model_names


def run(options):
    """Run the command."""
    from pathlib import Path

    from mantis_astro.models import get_card, list_models, load_model

    if options.name is None:
        for card in list_models():
            print(f"{card.name:24} {card.description}")
        return
    if Path(options.name).suffix:
        _, card = load_model(options.name)
    else:
        card = get_card(options.name)
    facts = {
        "name": card.name,
        "what it is": card.description,
        "network": card.network.kind,
        "bands": ", ".join(map(str, card.bands)) or "any",
        "redshifts": f"{card.n_bins} bins, {card.z_edges[0]:g} to {card.z_edges[-1]:g}",
        "trained on": card.training_sample,
        "prior": card.training_prior,
        "reached": card.performance,
        "do not trust": card.caveats,
        "licence": card.licence,
        "cite": ", ".join(card.citations),
    }
    for name, fact in facts.items():
        if fact:
            print(f"{name:13} {fact}")
