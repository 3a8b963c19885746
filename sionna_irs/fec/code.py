"""What the decoder knows of a 5G LDPC code, from Sionna's encoder: tables of NumPy integers."""

import math

import numpy as np
from sionna.phy.fec.ldpc import LDPC5GEncoder

__all__ = ["LDPCCode"]


class LDPCCode:
    r"""A rate-matched 5G LDPC code as rows of circulants, pruned to what was sent.

    The parity-check matrix consists of blocks of size Z: check z of row r meets bit
    :math:`(z+s)\bmod Z` of column c, where s is the shift of the edge (r, c). Rows whose own
    parity bits are not sent carry nothing; :math:`m=\max(4,\lceil(n+2Z-k)/Z\rceil)` remain.

    A column is kept turned: as its last row meets it, position z of the store is bit
    :math:`(z+a)\bmod Z`, a being that row's shift. Each row then turns a column by the
    difference to the row before, and after the last row the columns are as they were.

    Parameters
    ----------
    encoder : LDPC5GEncoder
        Sionna's.

    Attributes
    ----------
    rows : list of (columns, turns)
        For every row the indices of its columns and by how much each is turned further.
    source : np.ndarray, [num_columns Z]
        What enters each position of the store: an index into the n received logits, n for
        0 (not sent), n + 1 for a known zero (filler).
    information, code_word : np.ndarray, [k], [n]
        Positions of the bits in the store, in the order of the caller.
    checks : list of np.ndarray, [degree, number of checks]
        Positions that each check meets, one array for all checks of one degree.

    Raises
    ------
    TypeError
        For anything but Sionna's encoder.

    Examples
    --------
    >>> from sionna.phy.fec.ldpc import LDPC5GEncoder
    >>> from sionna_irs.fec.code import LDPCCode
    >>> code = LDPCCode(LDPC5GEncoder(512, 1024))
    >>> code.z, len(code.rows), code.num_edges
    (64, 10, 67)
    """

    def __init__(self, encoder):
        if not isinstance(encoder, LDPC5GEncoder):
            raise TypeError(
                f"encoder is of type {type(encoder).__name__}; "
                "a sionna.phy.fec.ldpc.LDPC5GEncoder is needed"
            )
        self.k, self.n, self.z = (int(size) for size in (encoder.k, encoder.n, encoder.z))
        self.k_ldpc = int(encoder.k_ldpc)
        # The two base matrices differ in their number of columns.
        self.graph = "bg1" if encoder.n_ldpc // self.z == 68 else "bg2"
        num_rows = max(4, math.ceil((self.n + 2 * self.z - self.k) / self.z))
        self.num_columns = self.k_ldpc // self.z + num_rows
        columns, shifts = self._edges(encoder.pcm, num_rows)
        self.num_edges = sum(map(len, columns))
        last = np.zeros(self.num_columns, int)
        for row, turned in zip(columns, shifts, strict=True):
            last[row] = turned
        self.rows = self._turns(columns, shifts, last)
        self._tables(encoder, last)
        self.checks = self._checks(columns, shifts, last)

    def _edges(self, pcm, num_rows):
        """Columns and shifts of every row: the first check of a row shows them all."""
        first = [np.sort(pcm[row * self.z].indices) for row in range(num_rows)]
        return [bits // self.z for bits in first], [bits % self.z for bits in first]

    def _turns(self, columns, shifts, last):
        """What each row adds to the turns that its columns have."""
        current, rows = last.copy(), []
        for row, wanted in zip(columns, shifts, strict=True):
            turns = (wanted - current[row]) % self.z
            current[row] = wanted
            rows.append((row.tolist(), turns.tolist()))
        return rows

    def _stored(self, bits, last):
        """Positions in the store of bits, counted column by column."""
        column, place = bits // self.z, bits % self.z
        return column * self.z + (place - last[column]) % self.z

    def _tables(self, encoder, last):
        bits = np.arange(self.num_columns * self.z)
        known = (bits >= self.k) & (bits < self.k_ldpc)
        # The first 2 Z bits are never sent; fillers stand between information and parity.
        order = np.where(bits < self.k, bits, bits - (self.k_ldpc - self.k)) - 2 * self.z
        sent = ~known & (order >= 0) & (order < self.n)
        place = np.arange(self.n)  # in which order the sent bits lie on the symbols
        if encoder.num_bits_per_symbol is not None:
            place = np.asarray(encoder.out_int_inv)
        stored = self._stored(bits, last)
        self.source = np.empty(len(bits), np.int32)
        self.source[stored] = np.where(known, self.n + 1, self.n)
        self.source[stored[sent]] = place[order[sent]]
        self.information = stored[: self.k].astype(np.int32)
        self.code_word = np.empty(self.n, np.int32)
        self.code_word[place[order[sent]]] = stored[sent]

    def _checks(self, columns, shifts, last):
        groups = {}
        for row, turned in zip(columns, shifts, strict=True):
            bits = row[:, None] * self.z + (turned[:, None] + np.arange(self.z)) % self.z
            groups.setdefault(len(row), []).append(self._stored(bits, last))
        return [np.concatenate(tables, 1).astype(np.int32) for tables in groups.values()]
