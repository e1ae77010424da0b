"""Looks at deploy/kubernetes and deploy/kserve: kubernetes.py ROOT OUT. Prints what is wrong; the exit status tells.
Leaves OUT/NAME.args, the arguments of the containers, a line each, and OUT/NAME.probes, the paths that are asked.

Kubernetes' own kinds are validated by its schemas, strictly. KServe's have none on PyPI: their fields are written out here, as
KServe's CustomResourceDefinitions have them."""

import pathlib
import re
import sys

import kubernetes_validate
import yaml

ROOT, OUT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
VERSIONS = ["1.29", "1.37"]
problems = []


def check(good, *what):
    if not good:
        problems.append(" ".join(str(w) for w in what))


def documents(path):
    return [d for d in yaml.safe_load_all((ROOT / path).read_text()) if d]


def one(items, kind, name=None):
    found = [d for d in items if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    check(len(found) == 1, f"{len(found)} of kind {kind}")
    return found[0]


def seconds(args, option):
    """Of an option in milliseconds."""
    return int(next(a for a in args if a.startswith(option + "=")).split("=")[1]) / 1000


def probes_of(container):
    return {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")
            if kind in container}


def leave(name, container):
    (OUT / f"{name}.args").write_text("".join(f"{a}\n" for a in container["args"]))
    (OUT / f"{name}.probes").write_text("".join(f"{p['path']}\n" for p in probes_of(container).values()))


# --- Kubernetes ---


def check_kubernetes():
    items = documents("deploy/kubernetes/hone.yaml")
    for d in items:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(d, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as e:
                check(False, f"{d['kind']} for {version}: {e}")
    deployment = one(items, "Deployment")["spec"]
    pod = deployment["template"]["spec"]
    container = pod["containers"][0]
    labels = deployment["template"]["metadata"]["labels"]
    check(set(probes_of(container)) == {"startupProbe", "livenessProbe", "readinessProbe"}, "a probe is missing")
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    for kind, probe in probes_of(container).items():
        check(probe["port"] in ports, kind, "asks an unknown port")
    check(deployment["selector"]["matchLabels"].items() <= labels.items(), "the Deployment does not find its pods")
    for kind in ("Service", "PodDisruptionBudget"):
        selector = one(items, kind)["spec"]["selector"]
        check(selector.get("matchLabels", selector).items() <= labels.items(), kind, "does not find the pods")
    for port in one(items, "Service")["spec"]["ports"]:
        check(port["targetPort"] in ports, "the Service leads to", port["targetPort"])
    drain = seconds(container["args"], "--drain-delay") + seconds(container["args"], "--drain-timeout")
    check(pod["terminationGracePeriodSeconds"] > drain, "pods are killed before they have drained")
    volumes = {v["name"]: v for v in pod["volumes"]}
    for mount in container["volumeMounts"]:
        check(mount["name"] in volumes, "no volume", mount["name"])
        claim = volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
        one(items, "PersistentVolumeClaim", claim)
    scaler = one(items, "HorizontalPodAutoscaler")["spec"]
    check(scaler["scaleTargetRef"]["name"] == one(items, "Deployment")["metadata"]["name"], "it scales something else")
    metric = scaler["metrics"][0]["pods"]["metric"]["name"]
    rules = documents("deploy/kubernetes/prometheus-adapter.yaml")[0]["rules"]["custom"]
    check(metric in [r["name"]["as"] for r in rules], "no rule makes", metric)
    (OUT / "metric").write_text(f"{metric}\n")
    leave("kubernetes", container)
    return container["image"]


# --- KServe ---

# Fields by path: True must be there, False may be. A path ends in "[]" for each item of a list.
RUNTIME = {"apiVersion": True, "kind": True, "metadata": True, "metadata.name": True, "metadata.annotations": False,
           "spec": True, "spec.supportedModelFormats": True, "spec.supportedModelFormats[].name": True,
           "spec.supportedModelFormats[].version": False, "spec.supportedModelFormats[].autoSelect": False,
           "spec.supportedModelFormats[].priority": False, "spec.protocolVersions": True, "spec.containers": True}
SERVICE = {"apiVersion": True, "kind": True, "metadata": True, "metadata.name": True, "spec": True,
           "spec.predictor": True, "spec.predictor.minReplicas": False, "spec.predictor.model": True,
           "spec.predictor.model.modelFormat": True, "spec.predictor.model.modelFormat.name": True,
           "spec.predictor.model.protocolVersion": True, "spec.predictor.model.runtime": True,
           "spec.predictor.model.storageUri": True, "spec.predictor.model.ports": False}
PROTOCOLS = {"v1", "v2", "grpc-v2"}
FREE = {"metadata.annotations", "spec.containers", "spec.predictor.model.ports"}  # of Kubernetes', or anything


def paths_of(value, prefix=""):
    if isinstance(value, dict) and prefix not in FREE:
        for key, inner in value.items():
            path = f"{prefix}.{key}" if prefix else key
            yield path
            yield from paths_of(inner, path)
    elif isinstance(value, list) and prefix not in FREE:
        for inner in value:
            yield from paths_of(inner, prefix + "[]")


def check_fields(d, fields):
    paths = set(paths_of(d))
    for path in sorted(paths - set(fields)):
        check(False, d["kind"], "has no field", path)
    for path in sorted(p for p, needed in fields.items() if needed and p not in paths):
        check(False, d["kind"], "lacks", path)


def check_container(container):
    """By Kubernetes' schema of pods."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}}
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(pod, version, strict=True)
        except kubernetes_validate.ValidationError as e:
            check(False, f"the runtime's container for {version}: {e}")


def check_kserve(image):
    runtime = one(documents("deploy/kserve/runtime.yaml"), "ServingRuntime")
    check(runtime["apiVersion"] == "serving.kserve.io/v1alpha1", runtime["apiVersion"])
    check_fields(runtime, RUNTIME)
    spec = runtime["spec"]
    check(set(spec["protocolVersions"]) == PROTOCOLS, "protocols:", spec["protocolVersions"])
    container = spec["containers"][0]
    check(container["name"] == "kserve-container", "KServe looks for the container kserve-container")
    check(container["image"] == image, "another image than Kubernetes'")
    check_container(container)
    port = container["ports"][0]["containerPort"]
    check(f"--port={port}" in container["args"], "the port is another one")
    check(all(p["port"] == port for p in probes_of(container).values()), "a probe asks another port")
    formats = {f["name"] for f in spec["supportedModelFormats"]}
    for service in documents("deploy/kserve/half_plus.yaml"):
        check(service["apiVersion"] == "serving.kserve.io/v1beta1", service["apiVersion"])
        check_fields(service, SERVICE)
        model = service["spec"]["predictor"]["model"]
        check(model["runtime"] == runtime["metadata"]["name"], "the runtime is another one")
        check(model["modelFormat"]["name"] in formats, "the runtime takes no", model["modelFormat"]["name"])
        check(model["protocolVersion"] in PROTOCOLS, model["protocolVersion"])
        check(re.fullmatch(r"pvc://[a-z0-9-]+/.+", model["storageUri"]), model["storageUri"])
        check(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", service["metadata"]["name"]), "no name of a service")
    leave("kserve", container)


check_kserve(check_kubernetes())
print("\n".join(problems) or "all is well")
sys.exit(1 if problems else 0)
