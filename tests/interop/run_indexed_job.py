#!/usr/bin/env python3
"""run_indexed_job.py MANIFEST PROGRAM FOLDER: starts what an Indexed Job would start: the arguments and variables of its
container, once for each completion index, with FOLDER where the volume is mounted. Fails when a process does."""
import os
import subprocess
import sys

import yaml

manifest, program, folder = sys.argv[1:]
with open(manifest) as file:
    spec = yaml.safe_load(file)["spec"]
container = spec["template"]["spec"]["containers"][0]
mount = container["volumeMounts"][0]["mountPath"]
words = [program] + [word.replace(mount, folder, 1) if word.startswith(mount) else word for word in container["args"]]
os.makedirs(folder, exist_ok=True)
processes = []
for index in range(spec["completions"]):
    environment = dict(os.environ, JOB_COMPLETION_INDEX=str(index))
    environment.update({entry["name"]: entry["value"] for entry in container["env"] if "value" in entry})
    processes.append(subprocess.Popen(words, env=environment, cwd=folder))
sys.exit(max(process.wait() for process in processes))
