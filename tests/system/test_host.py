from selfdistill.system.host import PACKAGE, require_own_package


def test_the_package_of_another_checkout_is_refused(tmp_path, refused):
    own = tmp_path / "src" / "selfdistill"
    own.mkdir(parents=True)
    (own / "__init__.py").touch()
    with refused(78, f"error: {own}: is not the imported package", PACKAGE, f"PYTHONPATH={own.parent}"):
        require_own_package(tmp_path)


def test_the_checkouts_own_package_may_be_reached_by_another_path_or_be_installed(tmp_path):
    require_own_package(tmp_path)
    (tmp_path / "src").symlink_to(PACKAGE.parent)
    require_own_package(tmp_path)
