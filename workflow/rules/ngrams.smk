# Needs: the split corpora; the pinned KenLM source from the package index; a C++ compiler.
# Makes: KenLM (once for all runs), an unpruned modified Kneser-Ney model per order, and the
#        log-probability that it gives to every test character.


rule kenlm:
    """Build KenLM's own lmplz and its Python module for orders up to 21."""
    input:
        code=code("ngrams.build"),
        boost=unprefixed(HOME / "src/charlens/ngrams/boost.lock"),
    output:
        directory("results/kenlm"),
    log:
        "results/kenlm.log",
    localrule: True
    threads: 8
    resources:
        mem_mb=3000,
        runtime=30,
    shell:
        "charlens kenlm --out {output} --threads {threads} > {log} 2>&1"


rule ngram:
    """Estimate one n-gram model of a corpus."""
    input:
        code=code("ngrams.fit"),
        split="<results>/corpora/{corpus}.npz",
        kenlm="results/kenlm",
    output:
        model="<results>/ngrams/{corpus}/order~{order}.binary",
        info="<results>/ngrams/{corpus}/order~{order}.json",
    log:
        "<logs>/ngram/{corpus}/order~{order}.log",
    benchmark:
        "<benchmarks>/ngram/{corpus}/order~{order}.jsonl"
    threads: 1
    resources:
        mem_mb=1500,
        disk_mb=8000,  # order 21 of the Linux kernel, while KenLM packs it
        runtime=30,
    shell:
        "charlens ngram --split {input.split} --order {wildcards.order} --kenlm {input.kenlm}"
        " --memory-mb {resources.mem_mb} --out {output.model} --info {output.info}"
        " > {log} 2>&1"


# Of a reshuffled text only the scores are kept: a model of order 21 has a gigabyte.
use rule ngram as ngram_reshuffled with:
    input:
        code=rules.ngram.input.code,
        split="<results>/corpora/{corpus}.shuffle{shuffle}.npz",
        kenlm="results/kenlm",
    output:
        model=temp("<results>/ngrams/{corpus}.shuffle{shuffle}/order~{order}.binary"),
        info="<results>/ngrams/{corpus}.shuffle{shuffle}/order~{order}.json",
    log:
        "<logs>/ngram/{corpus}.shuffle{shuffle}/order~{order}.log",
    benchmark:
        "<benchmarks>/ngram/{corpus}.shuffle{shuffle}/order~{order}.jsonl"


ruleorder: ngram_reshuffled > ngram


rule score_ngram:
    """Log-probability of every test character under an n-gram model."""
    input:
        code=code("ngrams.score"),
        split="<results>/corpora/{corpus}.npz",
        corpus="<results>/corpora/{corpus}.json",
        kenlm="results/kenlm",
        model="<results>/ngrams/{corpus}/order~{order}.binary",
        info="<results>/ngrams/{corpus}/order~{order}.json",
    output:
        scores="<results>/scores/{corpus}/ngram/order~{order}.npy",
        meta="<results>/scores/{corpus}/ngram/order~{order}.json",
    log:
        "<logs>/score/{corpus}/ngram/order~{order}.log",
    benchmark:
        "<benchmarks>/score/{corpus}/ngram/order~{order}.jsonl"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    shell:
        "charlens score-ngram --split {input.split} --model {input.model} --info {input.info}"
        " --kenlm {input.kenlm} --corpus-info {input.corpus} --out {output.scores}"
        " --meta {output.meta} > {log} 2>&1"
