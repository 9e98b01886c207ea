"""
Simulated galaxies per second, before there are images.

The peer is what one would write: a spectrum for each galaxy, through the filters with
sedpy. Both on one thread, from the same coefficients.
"""

import astropy.units as u
from astropy.table import Table
from harness import interleaved, run
from sedpy.observate import getSED, load_filters

from mantis_astro.simulation import GalaxyPopulation, draw_scenes


def benchmark(short):
    """Draw galaxies and their neighbours in nine bands."""
    n, n_peer = (2000, 5) if short else (10000, 20)
    population = GalaxyPopulation(seed=1)
    sample = population.draw(n)
    filters = load_filters([band.sedpy_name for band in population.bands])

    def with_sedpy():
        for i in range(n_peer):
            spectrum = population.spectrum(sample, i)
            flux = spectrum.flux.to_value("erg / (s cm2 AA)")
            getSED(spectrum.spectral_axis.to_value("AA"), flux, filters)

    seconds = interleaved(
        {
            "spectra through sedpy": with_sedpy,
            "draw": lambda: population.draw(n),
            "draw_scenes, 24 arcsec": lambda: draw_scenes(
                population, sample, radius=24 * u.arcsec
            ),
            "draw_scenes, 63 arcsec": lambda: draw_scenes(population, sample),
        },
        repeats=3 if short else 7,
    )
    rates = {name: n / s for name, s in seconds.items()}
    rates["spectra through sedpy"] *= n_peer / n
    peer = rates["spectra through sedpy"]
    table = Table(
        {
            "step": list(rates),
            "galaxies/s": [round(rate) for rate in rates.values()],
            "ratio": [round(rate / peer, 1) for rate in rates.values()],
        }
    )
    table.meta["title"] = "Galaxies per second, nine bands, without images"
    return table


if __name__ == "__main__":
    run(benchmark, "population_speed")
