"""`RunRecord`: record by which a killed run is continued, and no other run."""

import json
import logging

from mantis_astro.atomic import atomic_file
from mantis_astro.tables.journal import AnotherRunError

__all__ = ["RunRecord"]

log = logging.getLogger(__name__)

_NAME = "mantis_run.json"


class RunRecord:
    """
    Record of the run that an output folder belongs to.

    Parameters
    ----------
    folder : `~pathlib.Path` or UPath
        Of the output.
    identity : dict of str to str
        What the output depends on.

    Attributes
    ----------
    folder : `~pathlib.Path` or UPath
        As given.
    """

    def __init__(self, folder, identity):
        self.folder, self._identity = folder, identity

    def begin(self, *, overwrite=False, remove=None):
        """
        Begin a run, or continue one that was interrupted.

        Parameters
        ----------
        overwrite : bool, optional
            Whether the folder may hold something else, which is then replaced.
        remove : callable, optional
            Removes what will be replaced. Called before this run is recorded: what is
            in the folder of a recorded run is taken for its own.

        Returns
        -------
        bool
            Whether to go on with what is there.

        Raises
        ------
        OSError
            If the folder holds something else, or cannot be written.
        MantisError
            `AnotherRunError` if the run there was another one; the message says what
            differs.
        """
        found = self._read()
        if found is not None and not found["finished"]:
            theirs = found["identity"]
            keys = self._identity.keys() | theirs.keys()
            differs = sorted(k for k in keys if theirs.get(k) != self._identity.get(k))
            if not differs:
                log.info("%s is not finished: the run goes on", self.folder)
                return True
            if not overwrite:
                told = "; ".join(
                    f"{key} was {theirs.get(key)}, is {self._identity.get(key)}"
                    for key in differs
                )
                msg = f"{self.folder} has a part of another run: {told}"
                raise AnotherRunError(msg)
        elif not overwrite and self.folder.exists() and any(self.folder.iterdir()):
            msg = f"{self.folder} exists; pass overwrite=True to replace it"
            raise FileExistsError(msg)
        if remove is not None:
            remove()
        self._write(finished=False)
        return False

    def finish(self):
        """Record that the output is complete."""
        self._write(finished=True)

    def remove(self):
        """Remove the record, and the folder if nothing else is in it."""
        (self.folder / _NAME).unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _read(self):
        path = self.folder / _NAME
        return json.loads(path.read_text()) if path.exists() else None

    def _write(self, *, finished):
        text = json.dumps({"finished": finished, "identity": self._identity}, indent=1)
        path = self.folder / _NAME
        if "://" in str(path):  # appears whole or not at all there
            path.write_text(text)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            temporary.write_text(text)
