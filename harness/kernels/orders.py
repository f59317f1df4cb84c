"""Orders as graphs: which nodes lie on a common cycle."""

from __future__ import annotations

from collections.abc import Sequence


def components(size: int, tails: Sequence[int], heads: Sequence[int]) -> list[int]:
    """A label for each of ``size`` nodes; two nodes share it when edges lead from each to the other.

    Tarjan's algorithm, "Depth-first search and linear graph algorithms", 1972, without recursion; linear time.
    """
    after: list[list[int]] = [[] for _ in range(size)]
    for tail, head in zip(tails, heads, strict=True):
        after[tail].append(head)
    number, low, label = [0] * size, [0] * size, [-1] * size
    stack: list[int] = []
    met = labels = 0
    for root in range(size):
        if number[root]:
            continue
        met += 1
        number[root] = low[root] = met
        stack.append(root)
        walk = [(root, iter(after[root]))]
        while walk:
            node, rest = walk[-1]
            for head in rest:
                if not number[head]:
                    met += 1
                    number[head] = low[head] = met
                    stack.append(head)
                    walk.append((head, iter(after[head])))
                    break
                if label[head] < 0:
                    low[node] = min(low[node], number[head])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == number[node]:
                    while label[node] < 0:
                        label[stack.pop()] = labels
                    labels += 1
    return label
