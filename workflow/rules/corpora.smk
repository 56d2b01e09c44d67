# Needs: the sources that config.yaml names for each corpus.
# Makes: corpora/<corpus>.txt, its provenance (.json), and its split into streams (.npz); the same of
#        <corpus>.shuffle<seed>, its files in another order, and of <corpus>.contiguous, the same text
#        under another split; corpora/titled/<corpus>.json, its provenance under its present title.

# In the environment, not a param of the rule: the text is the same wherever it is stored.
if SETTINGS.mirror:
    os.environ.update(CORPORA_MIRROR=SETTINGS.mirror)


rule fetch:
    """Fetch a corpus from the first of its sources that works, and check it."""
    input:
        own=own_files,
    output:
        # not removed before there is a new one
        text=update("<results>/corpora/{corpus}.txt"),
        info=update("<results>/corpora/{corpus}.json"),
    log:
        "<logs>/fetch/{corpus}.log",
    benchmark:
        "<benchmarks>/fetch/{corpus}.jsonl"
    localrule: True
    params:
        spec=lambda w: json.dumps(
            grid.spec(SETTINGS, w.corpus, fetched(w.corpus, "title"))
        ),
        file=own_digest,
        version=version("nn"),  # the shared one, which counts for texts and splits, too
    shell:
        "charlens fetch --corpus {wildcards.corpus} --spec {params.spec:q}"
        " --cache $(dirname {output.text})/../../downloads"
        " --text {output.text} --info {output.info} > {log} 2>&1"


# results/<run>, below the prefix of a workflow that uses this one as a module
RESULTS = Path(rules.fetch.output.info).parents[1]


rule reshuffle:
    """The text of a corpus with its files in another random order."""
    input:
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        text="<results>/corpora/{corpus}.shuffle{shuffle}.txt",
        info="<results>/corpora/{corpus}.shuffle{shuffle}.json",
    log:
        "<logs>/reshuffle/{corpus}.shuffle{shuffle}.log",
    benchmark:
        "<benchmarks>/reshuffle/{corpus}.shuffle{shuffle}.jsonl"
    localrule: True
    params:
        spec=lambda w: json.dumps(
            grid.spec(SETTINGS, w.corpus, fetched(w.corpus, "title"))
        ),
        version=version("nn"),
    shell:
        "charlens reshuffle --text {input.text} --info {input.info} --spec {params.spec:q}"
        " --seed {wildcards.shuffle} --cache $(dirname {output.text})/../../downloads"
        " --out {output.text} --out-info {output.info} > {log} 2>&1"


rule contiguous:
    """The text of a corpus once more, to be split contiguously."""
    input:
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        text="<results>/corpora/{corpus}.contiguous.txt",
        info="<results>/corpora/{corpus}.contiguous.json",
    log:
        "<logs>/contiguous/{corpus}.log",
    benchmark:
        "<benchmarks>/contiguous/{corpus}.jsonl"
    localrule: True
    shell:
        "(cp {input.text} {output.text}"
        " && charlens title {input.info} --corpus {wildcards.corpus}.contiguous"
        " --out {output.info}) > {log} 2>&1"


ruleorder: reshuffle > contiguous > fetch


rule title:
    """The provenance of a corpus under the title that it has now, for tables and figures.

    They are also made again where the name of a cell type changed."""
    input:
        "<results>/corpora/{corpus}.json",
    output:
        "<results>/corpora/titled/{corpus}.json",
    log:
        "<logs>/title/{corpus}.log",
    benchmark:
        "<benchmarks>/title/{corpus}.jsonl"
    localrule: True
    params:
        title=lambda w: SETTINGS.of_corpus(w.corpus).title,
        types=[type_name(type) for type in SETTINGS.grid.types],
    shell:
        "charlens title {input} --title {params.title:q} --out {output} > {log} 2>&1"


rule split:
    """Split a text into training, validation and test streams."""
    input:
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        "<results>/corpora/{corpus}.npz",
    log:
        "<logs>/split/{corpus}.log",
    benchmark:
        "<benchmarks>/split/{corpus}.jsonl"
    localrule: True
    params:
        options=lambda w: options(SETTINGS.split_of(w.corpus)),
        fractions=lambda w: SETTINGS.of_corpus(w.corpus).fractions,
        version=version("nn"),
    shell:
        "charlens split --text {input.text} --info {input.info} {params.options}"
        " --fractions {params.fractions} --out {output} > {log} 2>&1"


rule corpora:
    """Every corpus of the run, fetched, checked and split."""
    input:
        collect("<results>/corpora/{corpus}.npz", corpus=CORPORA),
    localrule: True
