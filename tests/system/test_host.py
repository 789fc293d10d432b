from selfdistill.system.host import PACKAGE, require_own_package


def test_the_checkouts_own_package_may_be_reached_by_another_path_or_be_installed(tmp_path):
    require_own_package(tmp_path)
    (tmp_path / "src").symlink_to(PACKAGE.parent)
    require_own_package(tmp_path)
