"""Public names and where they are imported from: a user's import keeps working."""

import importlib

import pytest

NAMES = {
    "sklkl": """
        Distiller KLClassifier KLNet __version__ show_versions
    """,
    "sklkl.callbacks": """
        BestWeights Progress StopTraining
    """,
    "sklkl.classifier": """
        KLClassifier
    """,
    "sklkl.data": """
        Batch Batches LazyRows RowBlocks Rows StreamedRows
    """,
    "sklkl.distillation": """
        AUGMENTATIONS DISTILL_DIVERGENCES DISTILL_ROWS Distillation EstimatorTeacher FunctionTeacher ModuleTeacher
        POLICIES aligned augmented best_temperature check_table checked_proba make_teacher munge noise soften
    """,
    "sklkl.distiller": """
        Distiller
    """,
    "sklkl.divergences": """
        DIVERGENCES Estimate StabilityIndex alpha_divergence bernoulli_kl bhattacharyya_distance categorical_kl
        chi2_divergence classifier_kl_divergence cross_entropy diagonal_gaussian_kl dirichlet_kl entropy
        exponential_kl gaussian_kl generalized_kl get_divergence hellinger_distance histogram_divergence
        jeffreys_divergence js_distance js_divergence kl_divergence kl_to_uniform knn_kl_divergence laplace_kl
        pairwise_divergence poisson_kl population_stability_index renyi_divergence reverse_kl_divergence
        total_variation tsallis_divergence
    """,
    "sklkl.drift": """
        DensityRatioWeighter DriftDetector DriftReport
    """,
    "sklkl.feature_selection": """
        jeffreys_classif js_classif kl_classif
    """,
    "sklkl.inspection": """
        DistillationDisplay DivergenceMatrixDisplay DriftDisplay ReliabilityDisplay StrengthCurveDisplay TrainingDisplay
    """,
    "sklkl.losses": """
        CrossEntropy TermMeans cross_entropy expectation row_shares
    """,
    "sklkl.metrics": """
        DivergenceScorer TeacherAgreement calibration_kl d2_kl_score get_scorer get_scorer_names inception_score
        mean_js_divergence mean_kl_divergence mean_reverse_kl_divergence mode_coverage_kl prior_shift_kl
        teacher_agreement
    """,
    "sklkl.model_selection": """
        StackedGridSearchCV StackedRandomizedSearchCV one_standard_error
    """,
    "sklkl.modules": """
        ACTIVATIONS Dropout MLP accepted build_module few_classes label_log_proba log_softmax softmax
    """,
    "sklkl.net": """
        KLNet
    """,
    "sklkl.optim": """
        Band ConstantRate KLAdaptiveLR LEARNING_RATES Lock OPTIMIZERS OneCycle Polyak RULES make_learning_rate
        step_kl
    """,
    "sklkl.parallel": """
        data_parallel
    """,
    "sklkl.penalties": """
        Confidence LabelSmoothing PENALTIES Prior RDrop VirtualAdversarial make_penalty
    """,
    "sklkl.preprocessing": """
        DivergenceKernel DivergenceToPrototypes ProbaDivergence
    """,
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_there_and_public(module):
    found = importlib.import_module(module)
    expected = NAMES[module].split()
    assert set(expected) <= set(found.__all__)
    assert [name for name in expected if not hasattr(found, name)] == []
