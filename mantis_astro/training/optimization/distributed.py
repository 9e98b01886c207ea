"""One process of several that train a network together, as ``torchrun`` starts them."""

import os
from dataclasses import dataclass

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from mantis_astro.exceptions import InputSpecError

__all__ = ["Team", "join_team"]


@dataclass(frozen=True)
class Team:
    """
    Processes that train together, and the rank of this one.

    Attributes
    ----------
    rank, size : int
        Number of this process, and of all.
    device : `torch.device`
        Where this one computes.
    mine : bool
        Whether the group of processes was started here, and is ended here.
    """

    rank: int
    size: int
    device: torch.device
    mine: bool = False

    @property
    def leads(self):
        """Whether this process validates, writes and prints."""
        return self.rank == 0

    def rows(self, batch_size):
        """
        Return the part of each batch for this process.

        Parameters
        ----------
        batch_size : int
            Galaxies in a step, of all processes together.

        Returns
        -------
        slice
            Its rows.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the batch cannot be divided.
        """
        if batch_size % self.size:
            msg = (
                f"'batch_size' must be a multiple of the {self.size} processes, got "
                f"{batch_size}"
            )
            raise InputSpecError(msg)
        share = batch_size // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def wrap(self, network):
        """
        Let the gradients of all processes be averaged.

        Parameters
        ----------
        network : `torch.nn.Module`
            The network, on this process's device.

        Returns
        -------
        `torch.nn.Module`
            To be called instead; itself for one process.
        """
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices)

    def mean(self, values):
        """
        Average numbers over the processes.

        Parameters
        ----------
        values : `torch.Tensor`
            Numbers of this process.

        Returns
        -------
        `torch.Tensor`
            The same in all.
        """
        if self.size > 1:
            distributed.all_reduce(values)
            values = values / self.size
        return values

    def agree(self, value):
        """
        Return the number of the first process.

        Parameters
        ----------
        value : float
            What this process would say.

        Returns
        -------
        float
            What the first one says.
        """
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return told.item()

    def leave(self):
        """End the group, if it was started here."""
        if self.mine:
            distributed.destroy_process_group()


def join_team(device=None):
    """
    Find out whether ``torchrun`` started this process, and join the others.

    Parameters
    ----------
    device : str or `torch.device`, optional
        Where to compute; by default CUDA where there is any, else the CPU.

    Returns
    -------
    Team
        Of one, without ``torchrun``.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = _device(device, local if size > 1 else None)
    if size == 1:
        return Team(0, 1, device)
    mine = not distributed.is_initialized()
    if mine:
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend)
    return Team(distributed.get_rank(), size, device, mine)


def _device(given, local):
    if given is None:
        given = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(given)
    except RuntimeError as error:
        msg = f"'device' must be 'cpu' or 'cuda', got {str(given)!r}"
        raise ValueError(msg) from error
    if device.type == "cuda":
        if device.index is None and local is not None:
            device = torch.device("cuda", local)
        if not torch.cuda.is_available():
            msg = f"'device' {str(given)!r} cannot be used: there is no CUDA here"
            raise ValueError(msg)
    return device
