"""
Fetch cutouts, survive bad servers, resume
==========================================

This example downloads the cutouts of twelve galaxies from servers that fail in many
ways. It interrupts the download, resumes it, verifies the images and exports them as
FITS. The servers run on this machine (:ref:`user-local-sky`); for the real servers,
leave out the lines about the sky.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro import CutoutStore, SimulatedSky, SurveyCutouts
from mantis_astro.plotting import plot_cutouts
from mantis_astro.services import conf
from mantis_astro.simulation import LocalSky, mixed_faults

# %%
# A table of galaxies
# -------------------
# Any table with coordinates can be used. This one lists galaxies of a simulated sky
# (:ref:`user-simulation`). Their images are rendered first, for the servers below.
# GALEX does not cover all positions.

simulated = SimulatedSky(seed=1)
catalog = simulated.catalog(12)
galaxies = catalog["id", "ra", "dec"]
galaxies["id"] = [f"galaxy {i}" for i in catalog["id"]]
coords = SkyCoord(galaxies["ra"], galaxies["dec"])
bands = ["galex.NUV", "galex.FUV", "ps1.g", "ps1.r", "ps1.i", "unwise.W1", "unwise.W2"]
images = [cutouts for _, cutouts, _ in simulated.iter_cutouts(coords, bands)]

# %%
# Servers that fail
# -----------------
# Four requests in ten fail: with an error status, a connection that hangs, breaks or is
# very slow, a web page instead of an image, or an image of another position, shape or
# band. The waits are shorter than the defaults, to keep the tutorial short.

sky = LocalSky(
    images,
    seed=4,
    latency=0.02,
    faults=mixed_faults(0.4, retry_after=0.1, seconds=1.0),
).start()

for name, url in sky.urls.items():
    if name in conf:
        setattr(conf, name, url)
conf.timeout = 0.4  # seconds without a byte
conf.answer_timeout = 0.8
conf.backoff = 0.05
conf.retries = 2

# %%
# Fetch and interrupt
# -------------------
# The store keeps all images received. The loop ends after four galaxies, as if the
# machine had been switched off.

folder = Path(tempfile.mkdtemp())
store = CutoutStore(folder / "store", "a")
rng = np.random.default_rng(1)  # of the waits
source = SurveyCutouts(store=store, progress=False, rng=rng)
print(source.plan(galaxies, bands))

for n, (index, cutouts, _) in enumerate(
    source.iter_cutouts(galaxies, bands, keys=galaxies["id"]), start=1
):
    print(f"{galaxies['id'][index]:10s} {len(cutouts)} bands")
    if n == 4:
        break

# %%
# Resume
# ------
# The same call requests only images that the store lacks. Each band of each galaxy ends
# as ``ok``, ``no_coverage`` or ``failed``.

for _ in source.iter_cutouts(galaxies, bands, keys=galaxies["id"]):
    pass
print(source.counts())
report = source.report()
report["Status", "Message", "object", "band"][:8].pprint()

# %%
# For some images two repetitions were too few. Once the servers work again, request the
# failed images.

sky.faults = []
missing = source.failed()
for _ in source.iter_cutouts(*missing, keys=galaxies["id"][missing.index]):
    pass
print(source.counts())

# %%
# The requests in time
# --------------------
# Each bar is a request, as long as the server worked on it; the client gives up hanging
# requests earlier, and repeats them. At most four requests are open at one host. The
# gaps are waits before repetitions, the interruption and the resumption.

fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
requests = [request for request in sky.requests if np.isfinite(request.stop)]
start = requests[0].start
for i, request in enumerate(requests):
    colour = "C0" if request.fault is None else "C3"
    ax.plot([request.start - start, request.stop - start], [i, i], colour, lw=1.5)
ax.plot([], [], "C0", label="as it should be")
ax.plot([], [], "C3", label="struck by a fault")
ax.set(xlabel="time / s", ylabel="request")
ax.legend(frameon=False)
plt.show()

# %%
# No wrong image was accepted
# ---------------------------
# The local sky records band and position of every image that it served.

for galaxy in galaxies:
    cutouts = store[galaxy["id"]]
    for band, image in cutouts.items():
        name, ra, dec = sky.identify(image)
        assert name == str(band)
        assert np.allclose([ra, dec], [galaxy["ra"].value, galaxy["dec"].value])
print(f"{len(store)} galaxies, {len(store.check())} damaged images")
for band, status in store.statuses("galaxy 0").items():
    print(f"{band!s:10s} {status}")

# %%
# Display and export
# ------------------

brightest = galaxies["id"][np.argmin(catalog["mag_ps1_r"])]
figure = plt.figure(figsize=(8, 4.2), layout="constrained")
plot_cutouts(store[brightest], figure=figure, columns=4)
plt.show()

files = store.export_fits(folder / "fits")
print(f"{len(files)} files, the first is {files[0].name}")

# %%
# Remove the temporary files.

store.close()
sky.stop()
for name in sky.urls:
    if name in conf:
        conf.reset(name)
for name in ("timeout", "answer_timeout", "backoff", "retries"):
    conf.reset(name)
