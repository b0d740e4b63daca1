"""How good is a generator? Numbers that know their protocol, their error and what real data would get."""

from minigan.data.held import hold_out

from .cache import classifier_for, splits
from .captions import caption_accuracy, read_attributes
from .classifier import Classifier, Settings, train_classifier
from .codes import assignment_error, correlation_within
from .compared import names_for
from .disentanglement import (
    DCI,
    beta_vae_score,
    dci,
    disentanglement,
    factor_vae_score,
    mutual_information_gap,
)
from .evaluate import COLUMNS, counts_of, evaluate, metrics_for, read_evaluation, rehearse, table
from .evaluation_data import EvaluationData, Samples
from .frechet import frechet_distance
from .kernel import kernel_distance, squared_mmd
from .manifold import PRDC, prdc
from .measures import METRICS, Metric
from .modes import Modes, mixture_modes, stacked_labels, stacked_modes
from .neighbours import (
    Support,
    diversity,
    memorisation,
    near_duplicate_distance,
    nearest_neighbour_accuracy,
    support,
)
from .ngrams import ngram_divergence, ngram_texts
from .paired import evaluate_pairs
from .parzen import ParzenScore, kmeans_centres, log_densities, log_density, parzen_score, pyramid_scores
from .pictures import luminance, psnr, sharpness, ssim
from .scores import classifier_score, kl, label_accuracy, label_entropy, label_histogram, modes_present
from .shapes import slant_and_width
from .unpaired import evaluate_domains

__all__ = [
    "COLUMNS",
    "DCI",
    "METRICS",
    "PRDC",
    "Classifier",
    "EvaluationData",
    "Metric",
    "Modes",
    "ParzenScore",
    "Samples",
    "Settings",
    "Support",
    "assignment_error",
    "beta_vae_score",
    "caption_accuracy",
    "classifier_for",
    "classifier_score",
    "correlation_within",
    "counts_of",
    "dci",
    "disentanglement",
    "diversity",
    "evaluate",
    "evaluate_domains",
    "evaluate_pairs",
    "factor_vae_score",
    "frechet_distance",
    "hold_out",
    "kernel_distance",
    "kl",
    "kmeans_centres",
    "label_accuracy",
    "label_entropy",
    "label_histogram",
    "log_densities",
    "log_density",
    "luminance",
    "memorisation",
    "metrics_for",
    "mixture_modes",
    "modes_present",
    "mutual_information_gap",
    "names_for",
    "near_duplicate_distance",
    "nearest_neighbour_accuracy",
    "ngram_divergence",
    "ngram_texts",
    "parzen_score",
    "prdc",
    "psnr",
    "pyramid_scores",
    "read_attributes",
    "read_evaluation",
    "rehearse",
    "sharpness",
    "slant_and_width",
    "splits",
    "squared_mmd",
    "ssim",
    "stacked_labels",
    "stacked_modes",
    "support",
    "table",
    "train_classifier",
]
