"""A backbone with its auxiliary classifiers, seen as four stages."""

from torch import Tensor, nn
from torchvision.models.resnet import ResNet

from selfdistill.config.settings import NetworkSettings
from selfdistill.models.heads import build_heads
from selfdistill.models.outputs import Outputs
from selfdistill.models.resnet import build_backbone


class Network(nn.Module):
    """The network kept for inference (`backbone`) and the classifiers that only help to train it (`heads`)."""

    def __init__(self, backbone: ResNet, heads: nn.ModuleList | None = None):
        super().__init__()
        self.backbone = backbone
        self.heads = heads if heads is not None else nn.ModuleList()

    def forward(self, images: Tensor) -> Outputs:
        """Images [batch, 3, 32, 32] to the logits of every classifier.

        The same operations in the same order as torchvision's forward, with the heads looking in between.
        """
        net = self.backbone
        stage = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        auxiliary = []
        for index, layer in enumerate((net.layer1, net.layer2, net.layer3)):
            stage = layer(stage)
            if index < len(self.heads):
                auxiliary.append(self.heads[index](stage))
        final = net.fc(net.avgpool(net.layer4(stage)).flatten(1))
        return Outputs(final, tuple(auxiliary))


def build_network(settings: NetworkSettings, heads: str | None, *, zero_init_residual: bool, seed: int) -> Network:
    """The network of a run at the start of its training."""
    backbone = build_backbone(settings, zero_init_residual=zero_init_residual, seed=seed)
    if heads is None:
        return Network(backbone)
    return Network(backbone, build_heads(heads, shallow_channels(backbone), settings.classes, seed))


def shallow_channels(backbone: ResNet) -> list[int]:
    """The channels that leave stages 1 to 3."""
    channels = []
    for layer in (backbone.layer1, backbone.layer2, backbone.layer3):
        last = [module for module in layer[-1].modules() if isinstance(module, nn.BatchNorm2d)][-1]
        channels.append(last.num_features)
    return channels
