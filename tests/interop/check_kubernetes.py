#!/usr/bin/env python3
"""check_kubernetes.py MANIFEST...: each is valid under the strict schemas of several releases of the Kubernetes API, is an
Indexed Job whose environment tells the number of its completions, and copies broken in one place are refused."""
import copy
import pathlib
import sys

import kubernetes_validate
import yaml

VERSIONS = ["1.30", "1.37"]
BROKEN = {
    "a misspelt field": lambda job: job["spec"].update(completionsMode="Indexed"),
    "a number as text": lambda job: job["spec"].update(parallelism="four"),
    "a container without a name": lambda job: job["spec"]["template"]["spec"]["containers"][0].pop("name"),
    "a variable that is a number": lambda job: variables(job)[0].update(value=4),
    "no selector key": lambda job: job["spec"]["template"]["spec"]["topologySpreadConstraints"][0].pop("topologyKey"),
}
failed = False


def verdict(good, text):
    global failed
    failed |= not good
    print(f"{'PASS' if good else 'FAIL'} kubernetes: {text}")


def variables(job):
    return job["spec"]["template"]["spec"]["containers"][0]["env"]


def refusal(job, version):
    try:
        kubernetes_validate.validate(job, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error).splitlines()[0]
    return None


for name in sys.argv[1:]:
    shown = pathlib.Path(name).name if "deploy" not in name else "deploy/kubernetes/job.yaml"
    job = yaml.safe_load(pathlib.Path(name).read_text())
    for version in VERSIONS:
        why = refusal(job, version)
        verdict(why is None, f"{shown} is a Job of Kubernetes {version}" + (f": {why}" if why else ""))
    for what, damage in BROKEN.items():
        other = copy.deepcopy(job)
        damage(other)
        verdict(refusal(other, VERSIONS[-1]) is not None, f"{shown}: {what} is refused")
    spec = job["spec"]
    count = {entry["name"]: entry.get("value") for entry in variables(job)}["TOKMETER_COMPLETIONS"]
    verdict(spec["completionMode"] == "Indexed" and str(spec["completions"]) == count == str(spec["parallelism"]),
            f"{shown}: {count} completions at once, told to each")
sys.exit(failed)
