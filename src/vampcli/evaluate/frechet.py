"""Fréchet distance between two sets of embeddings, each described by a normal distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Normal:
    """A normal distribution.

    Attributes:
        mean: (n_dims,).
        covariance: (n_dims, n_dims).
    """

    mean: Array
    covariance: Array

    @classmethod
    def of(cls, items: npt.ArrayLike) -> Normal:
        """Fit to a set: (n_items, n_dims), at least 2 items."""
        found = np.asarray(items, dtype=np.float64)
        return cls(found.mean(0), np.atleast_2d(np.cov(found, rowvar=False)))

    @cached_property
    def root(self) -> Array:
        """Symmetric square root of the covariance."""
        values, vectors = np.linalg.eigh(self.covariance)
        root: Array = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
        return root

    def distance(self, other: Normal) -> float:
        """Return `|mean_a - mean_b|² + trace(A + B - 2 (A B)^(1/2))` with covariances A and B, 0 or more.

        The trace of the root is the sum of the roots of the eigenvalues of the symmetric A^(1/2) B A^(1/2), so that
        sets may be smaller than their dimension. The distance shrinks as sets grow: state it beside the distance of
        two real sets of the same size.

        Source: Dowson and Landau (1982); Kilgour et al., "Fréchet Audio Distance" (arXiv 1812.08466).
        """
        cross = np.sqrt(np.linalg.eigvalsh(self.root @ other.covariance @ self.root).clip(min=0)).sum()
        shift = self.mean - other.mean
        traces = np.trace(self.covariance) + np.trace(other.covariance)
        return max(0.0, float(shift @ shift + traces - 2 * cross))
