"""A model in MLflow without pickle: logged as a file of sklkl, loaded from it.

The file is an artifact of a run, or the model of MLflow's "models from code":
a script of a few lines that loads it. Either way nothing is unpickled. Needs
``pip install mlflow`` (or ``mlflow-skinny``) and ``sklkl[skops]``.

    python examples/logging_with_mlflow.py
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import sklkl
from sklkl import KLClassifier

try:
    import mlflow
    import skops  # noqa: F401
except ImportError as error:
    missing = error.name
else:
    missing = None

SERVED = """
import mlflow
import sklkl


class Served(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.classifier = sklkl.load(context.artifacts["classifier"])

    def predict(self, context, model_input, params=None):
        return self.classifier.predict_proba(model_input)


mlflow.models.set_model(Served())
"""


def as_artifact(clf, file):
    """Log a run with its losses and its file; return the model again."""
    with mlflow.start_run() as run:
        mlflow.log_params({"kl_strength": clf.kl_strength})
        for epoch, record in enumerate(clf.history_):
            mlflow.log_metric("train_loss", record["train_loss"], step=epoch)
        mlflow.log_artifact(str(file), "model")
    found = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=f"model/{file.name}"
    )
    return sklkl.load(found)


def as_model(file, script):
    """Log a model from code, whose weights are the file; return it."""
    script.write_text(SERVED)
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="classifier",
            python_model=str(script),
            artifacts={"classifier": str(file)},
            pip_requirements=["sklkl[skops]"],
        )
    return mlflow.pyfunc.load_model(info.model_uri)


def main():
    if missing:
        print(f"{missing} is not installed, so there is nothing to show.")
        return
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, _ = train_test_split(X, y, random_state=0)
    clf = KLClassifier(kl_strength=0.01, max_epochs=20, random_state=0)
    clf = clf.fit(X, y)
    expected = clf.predict_proba(X_test)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
        artifacts = (folder / "artifacts").as_uri()
        experiment = mlflow.create_experiment("sklkl", artifacts)
        mlflow.set_experiment(experiment_id=experiment)
        file = folder / "classifier.skops"
        sklkl.save(clf, file)
        loaded = as_artifact(clf, file)
        difference = loaded.predict_proba(X_test) - expected
        print("artifact:", np.abs(difference).max())
        model = as_model(file, folder / "served.py")
        difference = model.predict(X_test) - expected
        print("model:", np.abs(difference).max())


if __name__ == "__main__":
    main()
