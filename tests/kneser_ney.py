"""Interpolated modified Kneser-Ney in float64, by the book: what KenLM is tested against.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999),
section 3, with KenLM's conventions: unigrams are interpolated with the uniform distribution over
all words, </s> and <unk>; an n-gram that begins with <s> keeps its plain count; where an order's
discounts cannot be computed, they are 0.5, 1 and 1.5.
"""

from collections import Counter, defaultdict

FALLBACK = [0.0, 0.5, 1.0, 1.5]


class KneserNey:
    """A model of one sentence, a list of words, for n-grams of up to `order` words."""

    def __init__(self, sentence, order):
        self.order = order
        self.words = {*sentence, "</s>", "<unk>"}
        padded = ["<s>"] * (order - 1) + list(sentence) + ["</s>"]
        counts = [Counter(grams(padded, n)) for n in range(1, order + 1)]
        # The adjusted count a(g): how often g occurs at the highest order and after <s>; below
        # that, how many different words stand before it.
        self.adjusted = []
        for n, count in enumerate(counts, 1):
            left = Counter(gram[1:] for gram in counts[n]) if n < order else count
            self.adjusted.append(
                {
                    gram: count[gram] if gram[0] == "<s>" else left[gram]
                    for gram in count
                    if "<s>" not in gram[1:] and gram != ("<s>",)
                }
            )
        self.discounts = [
            discounts(self.counts_of_counts(n, counts, padded)) for n in range(1, order + 1)
        ]
        self.followers = [defaultdict(list) for _ in range(order)]
        for n, adjusted in enumerate(self.adjusted):
            for gram, count in adjusted.items():
                self.followers[n][gram[:-1]].append(count)

    def counts_of_counts(self, n, counts, padded):
        """How many n-grams have each adjusted count.

        One oddity of lmplz, of no weight in a text of any length: it sorts the n-grams by their
        last word, then the one before, words being numbered as they first occur, and the very
        last n-gram of each lower order goes into this statistic with its plain count.
        """
        number = {"<s>": 1, "</s>": 2}
        for word in padded:
            number.setdefault(word, len(number) + 1)
        last = max(counts[-1], key=lambda gram: [number[word] for word in reversed(gram)])[-n:]
        return Counter(
            counts[n - 1][gram] if gram == last else count
            for gram, count in self.adjusted[n - 1].items()
        )

    def p(self, word, context=()):
        """The probability of a word after the words of `context`, the last `order - 1` of them."""
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        n = len(context)
        lower = self.p(word, context[1:]) if context else 1 / len(self.words)
        followers = self.followers[n].get(context)
        if not followers:
            return lower
        discount = self.discounts[n]
        total = sum(followers)
        own = self.adjusted[n].get((*context, word), 0)
        left_over = sum(discount[min(count, 3)] for count in followers)
        return (own - discount[min(own, 3)] + left_over * lower) / total


def grams(words, n):
    return zip(*(words[start:] for start in range(n)), strict=False)


def discounts(counts_of_counts):
    """D(0) to D(3+), equation (26) of Chen and Goodman."""
    n1, n2, n3, n4 = (counts_of_counts[count] for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    in_range = all(0 <= discount <= count for count, discount in enumerate(found))
    return found if in_range else FALLBACK
