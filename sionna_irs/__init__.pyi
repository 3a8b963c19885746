"""Reconfigurable surfaces (IRS, also called RIS) for Sionna links."""  # made by tests/stub.py

from .arrays import DualPolarized as DualPolarized, ULA as ULA, UPA as UPA, sionna_order as sionna_order
from .budget import LinkBudget as LinkBudget, db_to_linear as db_to_linear, dbm_to_watt as dbm_to_watt, ebno_db_to_no as ebno_db_to_no, free_space_path_gain as free_space_path_gain, linear_to_db as linear_to_db, log_distance_path_gain as log_distance_path_gain, snr_db_to_no as snr_db_to_no, watt_to_dbm as watt_to_dbm
from .channel.cascaded import CascadeStatistics as CascadeStatistics, CascadedChannel as CascadedChannel
from .channel.double import DoubleGeometry as DoubleGeometry, DoubleSurfaceChannel as DoubleSurfaceChannel
from .channel.double_statistics import DoubleSurfaceStatistics as DoubleSurfaceStatistics
from .channel.hops.clustered import ClusteredChannel as ClusteredChannel
from .channel.hops.correlation import exponential_correlation as exponential_correlation, exponential_factors as exponential_factors, plane_wave_correlation as plane_wave_correlation, plane_wave_factors as plane_wave_factors
from .channel.hops.double_scattering import DoubleScatteringHop as DoubleScatteringHop
from .channel.hops.moments import HopMoments as HopMoments
from .channel.hops.rician import RayleighHop as RayleighHop, RicianHop as RicianHop, los_matrix as los_matrix
from .channel.impulse.cir_hop import CIRHop as CIRHop
from .channel.impulse.cir_table import CIRTable as CIRTable
from .channel.impulse.delays import check_cyclic_prefix as check_cyclic_prefix, delay_energy as delay_energy, delay_range as delay_range
from .channel.impulse.double_cir import DoubleSurfaceCIR as DoubleSurfaceCIR
from .channel.impulse.hop_model import HopModel as HopModel
from .channel.impulse.paths import CIR as CIR
from .channel.impulse.pruning import prune_paths as prune_paths
from .channel.impulse.surface_cir import SurfaceCIR as SurfaceCIR
from .channel.links import Links as Links, apply as apply, stack_users as stack_users
from .channel.scene.raytraced import RayTracedHops as RayTracedHops, SceneDevice as SceneDevice
from .channel.scene.raytracing.child import RayTracingError as RayTracingError
from .channel.scene.raytracing.solve import SceneOutline as SceneOutline, TracedPaths as TracedPaths, scene_outline as scene_outline, solve_paths as solve_paths
from .channel.scene.room import RoomChannel as RoomChannel, room_positions as room_positions, room_split as room_split
from .channel.scene.room_images import RoomPaths as RoomPaths, image_paths as image_paths
from .channel.scene.room_traced import traced_paths as traced_paths
from .channel.scene.scene_cascade import SceneCascade as SceneCascade, position_blocks as position_blocks
from .channel.surface_channel import SurfaceChannel as SurfaceChannel, SurfaceObservation as SurfaceObservation
from .deploy import frozen as frozen
from .ebno_range import EbnoRange as EbnoRange, uniform_ebno as uniform_ebno
from .estimation.bayes import BayesEstimator as BayesEstimator
from .estimation.bayes_bound import bayes_nmse as bayes_nmse
from .estimation.denoiser import Denoiser as Denoiser
from .estimation.learned import LearnedEstimator as LearnedEstimator
from .estimation.lmmse import LMMSEEstimator as LMMSEEstimator, SampleLMMSEEstimator as SampleLMMSEEstimator, ScalarLMMSEEstimator as ScalarLMMSEEstimator, lmmse_nmse as lmmse_nmse, scalar_lmmse_nmse as scalar_lmmse_nmse
from .estimation.ls import LSEstimator as LSEstimator, PilotEstimator as PilotEstimator, ls_nmse as ls_nmse
from .estimation.ofdm import OFDMLMMSEEstimator as OFDMLMMSEEstimator, delay_covariance as delay_covariance, exponential_delay_covariance as exponential_delay_covariance, ofdm_lmmse_nmse as ofdm_lmmse_nmse, ofdm_ls_nmse as ofdm_ls_nmse
from .estimation.path_refit import FingerprintMapping as FingerprintMapping
from .estimation.pilots import SurfacePilots as SurfacePilots
from .estimation.rank_one import RankOneEstimator as RankOneEstimator
from .estimation.user_pilots import UserLMMSEEstimator as UserLMMSEEstimator, UserLSEstimator as UserLSEstimator, UserPilots as UserPilots, UserScaledLSEstimator as UserScaledLSEstimator
from .fec.decoder import LDPC5GDecoder as LDPC5GDecoder
from .fec.demapper import Demapper as Demapper
from .hybrid.analog_ssca import AnalogSSCA as AnalogSSCA
from .hybrid.black_box import BlackBoxHybrid as BlackBoxHybrid
from .hybrid.block_diagonalization import BlockDiagonalization as BlockDiagonalization, reduce_channel as reduce_channel
from .hybrid.chain_pilots import ChainPilots as ChainPilots
from .hybrid.equivalent_lmmse import EquivalentLMMSEEstimator as EquivalentLMMSEEstimator
from .hybrid.feedback import PathFeedback as PathFeedback, TransformFeedback as TransformFeedback, vector_covariance as vector_covariance
from .hybrid.front_end import HybridFrontEnd as HybridFrontEnd, steered_phases as steered_phases
from .hybrid.rls import RLSEstimator as RLSEstimator
from .hybrid.sca import SCA as SCA
from .hybrid.streams import mmse_combiner as mmse_combiner, stack_streams as stack_streams
from .hybrid.system import HybridSystem as HybridSystem
from .hybrid.unfolded_rls import UnfoldedRLS as UnfoldedRLS
from .hybrid.unfolded_sca import UnfoldedSCA as UnfoldedSCA
from .hybrid.zf import HybridZF as HybridZF
from .layer import Input as Input, LinkLayer as LinkLayer
from .link import Link as Link
from .networks.batch_norm import BatchNorm as BatchNorm
from .networks.cdrn import CDRN as CDRN
from .networks.context import AntennaContext as AntennaContext
from .networks.convolution import Convolution as Convolution
from .networks.feedback_autoencoder import FeedbackAutoencoder as FeedbackAutoencoder
from .networks.row_network import RowNet as RowNet
from .networks.user_graph import UserGraph as UserGraph
from .phases.aligned_response import AlignedResponse as AlignedResponse
from .phases.capacity_ascent import CapacityAscent as CapacityAscent
from .phases.dominant_mode import DominantMode as DominantMode
from .phases.dominant_phases import dominant_phases as dominant_phases
from .phases.policies import AlignedPhases as AlignedPhases, CoordinateAscent as CoordinateAscent, RandomPhases as RandomPhases
from .phases.rate_coordinate import RateCoordinateAscent as RateCoordinateAscent
from .phases.riemannian_ascent import RiemannianAscent as RiemannianAscent
from .phases.statistical_phases import StatisticalPhases as StatisticalPhases
from .phases.sum_path_gain import AlternatingDesign as AlternatingDesign, SumPathGain as SumPathGain
from .phases.surface_factors import end_to_end as end_to_end, surface_factors as surface_factors
from .phases.two_timescale import TwoTimescaleSSCA as TwoTimescaleSSCA
from .phases.unit_modulus import ADMM as ADMM, ElementWise as ElementWise, PowerIteration as PowerIteration, UnitModulusSolver as UnitModulusSolver
from .phases.wideband import RateAscent as RateAscent, StrongestTap as StrongestTap, delay_taps as delay_taps
from .phases.zeroth_order import FirstOrder as FirstOrder, SurfaceTuner as SurfaceTuner, ZerothOrder as ZerothOrder
from .precoding.black_box import CNNPrecoder as CNNPrecoder, GramCNNPrecoder as GramCNNPrecoder, PilotCNNPrecoder as PilotCNNPrecoder
from .precoding.calibrated import Calibrated as Calibrated
from .precoding.implicit_csi import ImplicitCSIPrecoder as ImplicitCSIPrecoder
from .precoding.linear import MRTPrecoder as MRTPrecoder, Precoder as Precoder, RZFPrecoder as RZFPrecoder, ZFPrecoder as ZFPrecoder
from .precoding.receivers import LMMSEReceiver as LMMSEReceiver, MRCReceiver as MRCReceiver, Receiver as Receiver, ZFReceiver as ZFReceiver
from .precoding.structured import StructuredPrecoder as StructuredPrecoder
from .precoding.svd_transceiver import capacity as capacity, svd_water_filling as svd_water_filling
from .precoding.unfolded_wmmse import UnfoldedWMMSE as UnfoldedWMMSE
from .precoding.water_filling import water_filling as water_filling
from .precoding.wmmse import WMMSE as WMMSE
from .qam import QAM as QAM
from .saving import load_model as load_model
from .search.derive import derive_genotype as derive_genotype, random_genotype as random_genotype
from .search.genotype import Genotype as Genotype
from .search.hypergradient import hypergradient as hypergradient
from .search.network import CellNetwork as CellNetwork
from .search.search import ArchitectureSearch as ArchitectureSearch
from .surface.adjustable import AdjustableAmplitude as AdjustableAmplitude
from .surface.coupled import CoupledAmplitude as CoupledAmplitude
from .surface.design import Controls as Controls, Design as Design
from .surface.discrete import DiscretePhases as DiscretePhases
from .surface.group_connected import GroupConnected as GroupConnected
from .surface.ideal import IdealPhases as IdealPhases
from .surface.operators import BlockOperator as BlockOperator
from .surface.pattern import CosinePattern as CosinePattern, IsotropicPattern as IsotropicPattern
from .surface.surface import Surface as Surface
from .surface.varactor import Varactor as Varactor
from .transceiver.autoencoder import SurfaceAutoencoder as SurfaceAutoencoder
from .transceiver.leak_guard import LeakReport as LeakReport, leak_guard as leak_guard
from .transceiver.ml_detection import ml_decisions as ml_decisions
from .transceiver.model_based import svd_symbol_error_rate as svd_symbol_error_rate
from .transceiver.symbol_networks import SymbolNetwork as SymbolNetwork, symbol_loss as symbol_loss
from . import linalg as linalg
from . import metrics as metrics
from . import random as random
from . import testing as testing
from . import weights as weights

__version__: str
