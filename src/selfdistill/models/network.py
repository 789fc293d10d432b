"""A backbone of four stages with its auxiliary classifiers."""

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import ResNet

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.heads import Head, build_final_head, build_heads, fold
from selfdistill.models.outputs import Outputs
from selfdistill.models.resnet import build_backbone, stage_channels


class Network(nn.Module):
    """The network for inference (`backbone`) and the classifiers that are only used in training (`heads`).

    final_head: a classifier that is trained instead of the backbone's linear layer. It is evaluated and kept as the
    equivalent linear layer.
    """

    def __init__(self, backbone: ResNet, heads: nn.ModuleList | None = None, final_head: Head | None = None):
        super().__init__()
        self.backbone = backbone
        self.heads = heads if heads is not None else nn.ModuleList()
        self.final_head = final_head

    def forward(self, images: Tensor) -> Outputs:
        """The logits of every classifier from images [batch, 3, 32, 32].

        The operations and their order are those of torchvision's forward, with the heads in between.
        """
        net = self.backbone
        stage = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        auxiliary, features = [], []
        for index, layer in enumerate((net.layer1, net.layer2, net.layer3)):
            stage = layer(stage)
            if index < len(self.heads):
                logits, maps = self.heads[index](stage)
                auxiliary.append(logits)
                features.append(maps)
        stage = net.layer4(stage)
        final, deepest = self._final(stage)
        return Outputs(final, tuple(auxiliary), (*features, deepest) if features else ())

    def _final(self, stage: Tensor) -> tuple[Tensor, Tensor]:
        """The final logits and the feature maps before pooling."""
        if self.final_head is not None and self.training:
            return self.final_head(stage)
        pooled = self.backbone.avgpool(stage).flatten(1)
        if self.final_head is None:
            return self.backbone.fc(pooled), stage
        return F.linear(pooled, *fold(self.final_head)), stage

    def kept(self) -> dict[str, Tensor]:
        """The state of the network for inference under torchvision's names."""
        state = self.backbone.state_dict()
        if self.final_head is not None:
            state["fc.weight"], state["fc.bias"] = fold(self.final_head)
        return state


def build_network(
    settings: NetworkSettings, heads: str | None, *, zero_init_residual: bool, seed: int, final_head: str = "fc"
) -> Network:
    """The initial network of a run; final_head `fc` is the backbone's own linear layer."""
    backbone = build_backbone(settings, zero_init_residual=zero_init_residual, seed=seed)
    channels, classes = stage_channels(settings), settings.classes
    auxiliary = None if heads is None else build_heads(heads, channels, classes, seed)
    deepest = None if final_head == "fc" else build_final_head(final_head, channels, classes, seed)
    return Network(backbone, auxiliary, deepest)
