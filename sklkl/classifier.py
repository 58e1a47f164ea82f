"""``KLClassifier``: the scikit-learn face of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.optim import Optimizer

from sklkl._fit.attempt import Attempt, Previous, finished
from sklkl._fit.fitting import fit_net
from sklkl._fit.parameters import CONSTRAINTS, FitData, check_stream, checked_params
from sklkl._fit.plan import active_plans, planned
from sklkl._fit.prediction import NetClassifier
from sklkl._fit.stream import fit_stream
from sklkl._fit.teaching import can_teach_a_stream
from sklkl._utils.progress import followed
from sklkl._utils.sklearn_private import available_if
from sklkl._utils.types import Auto, FilePath, Labels, MatrixLike, Proba, Weight
from sklkl.data import RowBlocks
from sklkl.distillation import AugmentationName, DistillDivergence, DistillRows, Policy
from sklkl.modules import ActivationName
from sklkl.optim import LearningRateName, OptimizerName
from sklkl.penalties import PenaltyName

__all__ = ["KLClassifier"]


class KLClassifier(NetClassifier):
    """A neural network classifier whose KL regularisation is a hyperparameter.

    The loss of a row is its cross-entropy plus ``kl_strength``, to be searched like any other parameter, times a KL
    penalty on the predicted probabilities. Multiclass targets get a softmax, multilabel indicators a sigmoid a label;
    dense, CSR sparse, pandas and polars inputs work, as do inputs of a higher rank with a ``module`` of your own.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(384, 256)
        Units of each hidden layer of the built-in network; empty for a linear model. Not used with a ``module``.
    activation : str, default="relu"
        Activation of the built-in network, a key of :data:`sklkl.modules.ACTIVATIONS`.
    dropout : float in [0, 1), default=0.3
        Dropout rate after each hidden layer of the built-in network.
    scale_inputs : bool, default=True
        Whether the built-in network scales its inputs, whose units then do not matter, by what it learns from the
        training rows, see :class:`sklkl.modules.DenseScaling` and :class:`sklkl.modules.SparseScaling`.
    n_members : int >= 1, default=1
        Number of networks, of different seeds and validation parts, whose mean probabilities are predicted; the
        built-in ones are trained as one stack. How far they differ is :meth:`predict_uncertainty`.
    codistill_strength : float >= 0, default=0.0
        Weight of KL(member‖mean of members), in nats per row, in each member's loss; they then share a validation part.
    module : torch.nn.Module class, factory or instance, default=None
        Your own network, which returns logits of shape (n_rows, n_classes). A class or factory is called with
        ``n_features`` (the size of X's second axis) and ``n_classes`` where it accepts them, and with every
        ``module__...`` parameter; an instance is copied with its weights and never changed.
    kl_penalty : str or object, default="confidence"
        What is penalised, such as ``"confidence"`` KL(p‖uniform), ``"label_smoothing"`` KL(uniform‖p), ``"prior"``
        KL(class frequencies‖p), ``"rdrop"`` and ``"vat"`` how far a prediction depends on the dropout mask or on a
        small change of x; or an object of :mod:`sklkl.penalties`, whose parameters are searched as ``kl_penalty__...``.
    kl_strength : float >= 0, default=0.0
        Weight of the penalty in the loss, which is in nats per row. Useful values are small: up to about 0.1.
    teacher : estimator, torch.nn.Module, callable or None, default=None
        Whose probabilities the network learns from, see the user guide. An estimator with ``predict_proba`` is cloned
        and fitted to the rows; a fitted one in a :class:`sklearn.frozen.FrozenEstimator`, or a model without ``fit``,
        is used as it is. A network gives logits, a function probabilities, both in the order of the sorted labels.
    distill_weight : float in [0, 1] or "auto", default="auto"
        Weight α of the teacher: a row's loss is ``(1 - α)`` times its cross-entropy plus ``α T²`` times the divergence
        of student from teacher. ``"auto"`` is 0.5, for soft targets of which the teacher has the share that it is worth
        on rows set aside, beside a network that learns the labels alone; 0 if it is no use. Where that cannot be asked,
        the teacher has all: in :meth:`partial_fit`, with ``distill_rows="unlabeled"`` or other ``teacher_classes``.
    distill_rows : {"all", "unlabeled"}, default="all"
        Which rows carry the distillation loss. With ``"unlabeled"`` a row with a label carries its cross-entropy alone;
        α and the teacher are for ``X_unlabeled`` and synthetic rows, then made from it: for a teacher that is wrong on
        the labelled rows.
    temperature : float in (0, 1e9], default=1.0
        T, at which teacher and student are compared.
    distill_divergence : {"forward_kl", "reverse_kl", "js"}, default="forward_kl"
        KL(teacher‖student), KL(student‖teacher) or their Jensen-Shannon divergence.
    teacher_cv : int, splitter or None, default=None
        If set, a row's soft target comes from a clone of the teacher fitted without that row, if it knows its class.
    calibrate_teacher : bool or "auto", default="auto"
        Whether to scale the teacher's confidence by a temperature, learned from rows set aside (the teacher is fitted
        twice) or from the predictions of ``teacher_cv``. ``"auto"`` does so from 200 rows on if the teacher is fitted
        here; one that is ready may know the rows already.
    teacher_classes : {"same", "common", "union", "closed"}, default="same"
        If teacher and student know different classes: an error; learning on the classes that both know; the same after
        the student was given the teacher's classes too; or also giving classes that the teacher does not know
        probability zero, right where only rows of its own classes carry its loss (``distill_rows="unlabeled"``).
    augment : {"auto", "munge", "noise"}, callable or None, default="auto"
        Synthetic rows, see :func:`sklkl.distillation.augmented`. ``"auto"``: ``"munge"`` for up to 20,000 dense rows.
    augment_factor : int >= 1, default=5
        Number of synthetic rows for each real one.
    n_generations : int >= 1, default=1
        Number of networks trained one after the other, each with the one before as its teacher.
    init_from : FrozenEstimator, torch.nn.Module or None, default=None
        A fitted :class:`KLClassifier` (in a ``FrozenEstimator``) or a network to start from: layers of the same name
        and shape get its weights, the output layer those of the classes both know.
    lr : float in (0, 1e20], default=2e-3
        Learning rate: the peak of the cycle for ``"onecycle"``; without effect for ``"kl_adaptive"``.
    learning_rate : {"kl_adaptive", "onecycle", "constant"}, default="kl_adaptive"
        How the rate moves over ``max_epochs``. ``"kl_adaptive"`` finds it by how far a step moves the predictions, see
        :class:`sklkl.optim.KLAdaptiveLR`. In :meth:`partial_fit`, which knows no end, ``"onecycle"`` is constant.
    kl_target : float > 0 or None, default=None
        KL(before‖after) of a step's predictions, nats a row, at the peak; None finds it, see :class:`sklkl.optim.Lock`.
    optimizer : {"adam", "sgd"} or torch.optim.Optimizer class, default="adam"
        ``"adam"`` decouples the weight decay (AdamW), ``"sgd"`` has Nesterov momentum 0.9. Every ``optimizer__...``
        parameter is passed on, such as ``optimizer__betas``.
    weight_decay : float >= 0 or "auto", default="auto"
        Passed to the optimiser if it accepts one. ``"auto"`` is 0.3 for ``"adam"``, or 0.1 with several members, 1e-4
        for ``"sgd"``, and the optimiser's own default for a class.
    batch_size : int or "auto", default="auto"
        Largest number of rows in a batch; ``"auto"`` is 128, or all rows if they are fewer.
    max_epochs : int >= 1, default=100
        Number of passes over the training rows; fewer where rows without labels would more than double the work.
    early_stopping : bool or "auto", default="auto"
        Whether to set a validation part aside and keep the weights of lowest log-loss on it. ``"auto"``: from 40 rows
        on (of many classes 200) if no teacher is in the loss, and for callbacks. With ``X_val`` False is an error.
    validation_fraction : float in (0, 1), default=0.15
        Share of the rows in the validation part, stratified by class; not used where one of your own is given.
    calibrate : bool, default=True
        Whether a temperature near 1, learned from the validation part, sets the built-in network's confidence.
    averaged_epochs : int >= 1 or "auto", default="auto"
        Over about how many epochs validated weights are averaged: a fifth of ``max_epochs``, 1 with a ``module``.
    n_iter_no_change : int >= 1 or None, default=20
        Stop after that many epochs without a better validation log-loss; None goes through all epochs.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with the sample weights; classes that a dict does not name weigh 1.
    warm_start : bool, default=False
        Whether :meth:`fit` resumes training from the weights of the last fit. Parameters that were changed in between
        are followed; those of which the network is made are refused.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random, also of a teacher that has none of its own. None gives a new result each time. The
        global states of numpy and torch are neither used nor changed.
    device : str or torch.device, default="auto"
        Where to train and predict; ``"auto"`` is CUDA if there is one, else the CPU.
    dtype : {"float32", "float64"} or torch.dtype, default="float32"
        Floating type of the network and of X in training.
    compile : bool, default=False
        Whether to compile the network.
    verbose : int, default=0
        Greater than 0: a progress bar with the losses, and what a teacher takes.
    callbacks : list of skorch callbacks, or of pairs of a name and a callback, or None, default=None
        Shallow copies are used, which are in ``net_.callbacks_``: what a callback holds, such as a list, is shared.
    checkpoint : path-like or None, default=None
        File, or folder of a file for each fit, from which :meth:`fit` goes on after a crash, and :meth:`partial_fit` if
        it is given the same stream from its beginning, see :ref:`resuming`.
    checkpoint_every : int >= 1, default=1
        Every how many epochs, or calls of :meth:`partial_fit`, it is written.
    **module__params : Any
        Parameters named ``module__...`` and ``optimizer__...``, passed on to the module and the optimiser. Where
        :meth:`set_params` makes that another one, those that it does not accept are dropped, with a warning.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order, that of the columns of probabilities; column numbers for a multilabel indicator.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns, if X is a frame whose column names are all strings.
    net_ : KLNet
        The skorch net.
    module_ : torch.nn.Module
        The network with its best weights.
    history_ : skorch.history.History
        What each epoch recorded: ``train_loss`` and its terms ``train_data_fit`` and ``train_kl_penalty`` (means over
        all rows, also without a label), ``valid_loss`` (log-loss, without penalty or calibration), ``lr``, ``dur`` (in
        seconds); with ``"kl_adaptive"`` also ``step_kl`` (nats, mean of the steps measured; NaN if none was) and
        ``rejected_steps``. Of several networks means over those that got to the epoch, and their number ``n_members``.
    lr_ : float
        The learning rate that was found, at its peak; the geometric mean of those of several networks.
    n_iter_ : int
        Number of epochs; the largest of several networks.
    distill_weight_ : float
        The weight of the teacher; with ``"auto"`` 0.5 times its share in the soft targets, 0 if it was no use.
    interrupted_ : bool
        Whether training was interrupted; the model is then that of the epochs finished before.

    References
    ----------
    Pereyra et al. (2017), Regularizing Neural Networks by Penalizing Confident Output Distributions, arXiv:1701.06548.
    Lakshminarayanan et al. (2017), Simple and Scalable Predictive Uncertainty Estimation, arXiv:1612.01474.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklkl import KLClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> clf = KLClassifier(max_epochs=20, random_state=0)
    >>> search = GridSearchCV(clf, {"kl_strength": [0, 0.1]}, scoring="neg_log_loss")
    >>> search.fit(X, y).predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (384, 256),
        activation: ActivationName = "relu",
        dropout: float = 0.3,
        module: Callable[..., Any] | None = None,
        *,
        scale_inputs: bool = True,
        n_members: int = 1,
        codistill_strength: float = 0.0,
        kl_penalty: PenaltyName | Callable[..., Any] = "confidence",
        kl_strength: float = 0.0,
        teacher: Any = None,
        distill_weight: float | Auto = "auto",
        distill_rows: DistillRows = "all",
        temperature: float = 1.0,
        distill_divergence: DistillDivergence = "forward_kl",
        teacher_cv: Any = None,
        calibrate_teacher: bool | Auto = "auto",
        teacher_classes: Policy = "same",
        augment: Auto | AugmentationName | Callable[..., Any] | None = "auto",
        augment_factor: int = 5,
        n_generations: int = 1,
        init_from: Any = None,
        lr: float = 2e-3,
        learning_rate: LearningRateName = "kl_adaptive",
        kl_target: float | None = None,
        optimizer: OptimizerName | type[Optimizer] = "adam",
        weight_decay: float | Auto = "auto",
        batch_size: int | Auto = "auto",
        max_epochs: int = 100,
        early_stopping: bool | Auto = "auto",
        validation_fraction: float = 0.15,
        calibrate: bool = True,
        averaged_epochs: int | Auto = "auto",
        n_iter_no_change: int | None = 20,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        dtype: Literal["float32", "float64"] | torch.dtype = "float32",
        compile: bool = False,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: FilePath | None = None,
        checkpoint_every: int = 1,
        **module__params: Any,  # and optimizer__; the name itself must be one that is passed on
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.module = module
        self.scale_inputs = scale_inputs
        self.n_members = n_members
        self.codistill_strength = codistill_strength
        self.kl_penalty = kl_penalty
        self.kl_strength = kl_strength
        self.teacher = teacher
        self.distill_weight = distill_weight
        self.distill_rows = distill_rows
        self.temperature = temperature
        self.distill_divergence = distill_divergence
        self.teacher_cv = teacher_cv
        self.calibrate_teacher = calibrate_teacher
        self.teacher_classes = teacher_classes
        self.augment = augment
        self.augment_factor = augment_factor
        self.n_generations = n_generations
        self.init_from = init_from
        self.lr = lr
        self.learning_rate = learning_rate
        self.kl_target = kl_target
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.calibrate = calibrate
        self.averaged_epochs = averaged_epochs
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.compile = compile
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self._store_passed_on(module__params)

    @followed
    def fit(
        self,
        X: MatrixLike | RowBlocks,
        y: MatrixLike | None = None,
        sample_weight: Weight = None,
        teacher_proba: Proba | None = None,
        X_unlabeled: MatrixLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: Weight = None,
    ) -> KLClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or RowBlocks of shape (n_rows, n_features)
            Inputs; of shape (n_rows, n_features, ...) with a ``module`` of your own.
        y : array-like of shape (n_rows,) or (n_rows, n_labels), default=None
            Labels of any type, or a multilabel indicator of zeros and ones; None where X is ``RowBlocks``.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0: a row of weight 2 counts as two rows, one of weight 0 as none. Only their ratios count.
        teacher_proba : array-like or frame of shape (n_rows, n_classes), default=None
            Probabilities in place of a ``teacher``; columns in the order of the sorted labels or as a frame names them.
        X_unlabeled : array-like, sparse matrix or frame of shape (n_unlabeled, n_features), default=None
            Further inputs, for the distillation loss of a ``teacher``, and for penalties that need no labels.
        X_val : array-like, sparse matrix or frame of shape (n_val, n_features), default=None
            Validation part of your own, which serves wherever rows of X would be set aside; transformed as X is by
            ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Their labels, which y must have too.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights >= 0. Class weights multiply them, ``"balanced"`` as it is for y.

        Returns
        -------
        self : KLClassifier
            The fitted classifier.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are invalid, training produced no finite epoch, or that of another network is to
            be resumed. The estimator is then as it was before.
        KeyboardInterrupt
            If training was interrupted. Once an epoch is finished (not while a teacher's worth is asked), the model so
            far is kept and ``interrupted_`` is True; before that the estimator is as it was.

        Warns
        -----
        UserWarning
            If a parameter that is not its default cannot have an effect; the clones of a search say so once.
        ConvergenceWarning
            If the network is worse on its training rows than a prediction without any input.
        """
        data = FitData(X, y, sample_weight, teacher_proba, X_unlabeled, X_val, y_val, sample_weight_val)
        if active_plans and planned(self, data):
            return self
        with Attempt(self) as attempt:
            params = checked_params(self)
            previous = Previous(self.net_, self.classes_) if self.warm_start and hasattr(self, "net_") else None
            fit_net(attempt, params, data, previous=previous).publish(attempt.draft)
        return finished(self)

    @available_if(can_teach_a_stream)
    def partial_fit(
        self, X: MatrixLike, y: MatrixLike, classes: Labels = None, sample_weight: Weight = None
    ) -> KLClassifier:
        """Train for one more pass over these rows, without a validation part.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.
        y : array-like of shape (n_rows,) or (n_rows, n_labels)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; required in the first call.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0.

        Returns
        -------
        self : KLClassifier
            The classifier, trained further.

        Raises
        ------
        ValueError, TypeError, KeyboardInterrupt
            As in :meth:`fit`; also if ``classes`` is missing or not the same as before, or y has other labels.

        Examples
        --------
        >>> import numpy as np
        >>> from sklkl import KLClassifier
        >>> clf = KLClassifier(random_state=0)
        >>> for X in np.random.RandomState(0).randn(5, 100, 2):
        ...     clf = clf.partial_fit(X, X[:, 0] > 0, classes=[False, True])
        >>> clf.n_iter_
        5
        """
        with Attempt(self) as attempt:
            params = checked_params(self)
            check_stream(params)
            fit_stream(attempt, params, FitData(X, y, sample_weight), classes)
        return finished(self)
