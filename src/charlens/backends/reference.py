"""The reference backend: plain torch with autograd, on any device."""

import torch
from torch import Tensor

from charlens.backends.base import used_gradient
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters, forward, zero_state


def of_targets(log_probs: Tensor, y: Tensor) -> Tensor:
    """The log-probability of each target y [S, T], of those of all symbols [S, T, K]."""
    return log_probs.gather(2, y.long().unsqueeze(2)).squeeze(2)


class Reference:
    """Plain torch with autograd, on any device. `selection` describes the calls."""

    scan = None  # see `network.stack`

    def __init__(self, arch: Architecture, device: str = "cpu"):
        self.arch, self.device = arch, device
        self.name = "reference" if device == "cpu" else "cuda"

    def to_backend(self, params) -> Parameters:
        """Parameters by name, of numpy or torch, as contiguous tensors on this device."""
        return {n: torch.as_tensor(p).to(self.device).contiguous() for n, p in params.items()}

    def zero_state(self, streams: int) -> Tensor | None:
        """The state before a stream's first character, see `network.zero_state`."""
        state = zero_state(self.arch, streams)
        return None if state is None else state.to(self.device)

    def loss_and_grads(self, params, x, y, state, dropout, grads) -> float:
        """Mean loss in nats per character of y [S, T]; fills `grads`, updates `state` in place.

        Raises InputError where the cell does not use one of its parameters.
        """
        masks = None
        if dropout is not None:
            masks = dropout.mask(self.arch.hidden).to(self.device) * dropout.scale
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        log_probs, after = self._log_probs(leaves, x, state, masks)
        loss = -of_targets(log_probs, self._targets(y)).sum() / len(x)
        used = [leaves[name] for name in grads]
        found = torch.autograd.grad(loss, used, allow_unused=True)
        for (name, grad), value in zip(grads.items(), found, strict=True):
            grad.copy_(used_gradient(name, value, self.arch))
        self._move(state, after)
        return loss.item() / x.shape[1]

    @torch.no_grad()
    def target_log_probs(self, params, x, y, state, exact: bool = True) -> Tensor:
        """Log-probability in nats of every y: [S, T], always in full precision."""
        log_probs, after = self._log_probs(params, x, state)
        self._move(state, after)
        return of_targets(log_probs, self._targets(y)).cpu()

    @torch.no_grad()
    def log_probs(self, params, x, state) -> Tensor:
        """Log-probability in nats of every symbol: [S, T, K]."""
        log_probs, after = self._log_probs(params, x, state)
        self._move(state, after)
        return log_probs.cpu()

    def _log_probs(self, params, x, state, masks=None):
        x = torch.as_tensor(x).to(self.device)
        logits, after = forward(self.arch, params, x, state, masks, scan=self.scan)
        return torch.log_softmax(logits, dim=-1), after

    def _targets(self, y):
        return torch.as_tensor(y).to(self.device)

    @staticmethod
    def _move(state, after):
        if state is not None:
            state.copy_(after.detach())
