"""The flow's stages in the flow's order, called by hand: what is left of it without Prefect.

python stages_only.py <place> <before|now> <stages.json>
"""

# ruff: noqa: E402 - the clock starts before the imports, which are part of what a run costs

import sys
from pathlib import Path

from stages import Recorder

record = Recorder(Path(sys.argv[3]))

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from marks import Marks
from workload import BEFORE, MODEL, NOW


def main() -> None:
    from evergreen.cli.launch import environment
    from evergreen.gate.decision import Reason
    from evergreen.settings import Settings
    from evergreen.stages import assess, conclude, evaluate, load, promote, track, train
    from evergreen.stages.open import open_run
    from evergreen.stages.run import Origin, Request
    from evergreen.training.recipes import best, plan

    logger = logging.getLogger("evergreen")
    logger.addHandler(Marks(record))
    logger.setLevel(logging.INFO)
    settings, now = Settings.from_environment(), datetime.now(UTC)
    moment = {"before": BEFORE, "now": NOW}[sys.argv[2]].replace(tzinfo=UTC)
    with environment(settings):
        run = open_run(Request(MODEL, moment, Reason.MANUAL), Origin("benchmark"), settings, now)
        job = track.prepare_job(run, load.load(run, settings), settings)
        evidence = assess.assess_drift(job, assess.validate(job, settings), settings)
        with track.track(job, track.find_twin(job, evidence, settings), settings) as job:
            rows = train.split(job)
            search = plan(job.spec.training, job.spec.task)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                encodings = sorted({recipe.encoding for recipe in search.recipes})
                folds = dict(zip(encodings, pool.map(lambda e: train.encode(job, rows, e), encodings), strict=True))
                trials = list(pool.map(lambda r: train.try_recipe(job, r, folds[r.encoding], 1.0), search.recipes))
            winner = best(trials, job.spec.training.metric).recipe
            evidence = evidence.add(split=rows, trials=tuple(trials), fitted=train.fit_recipe(job, rows, winner))
            evidence = train.log_challenger(job, evidence, {}, settings)
            evidence = evaluate.judge_challenger(job, evaluate.evaluate_models(job, evidence, settings))
            evidence = promote.smoke(promote.register(job, evidence, settings), settings)
            entry = promote.record(job, evidence, settings, now)
            promote.promote(entry, settings, now)
            conclude.conclude(job, evidence, entry, settings)
    record.mark("finish")
    record.write()


if __name__ == "__main__":
    main()
