"""A user with a real browser: headless Chromium or Chrome, driven by Selenium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from airis.terminal.errors import EnvironmentProblem
from tests.cluster.node import packages
from tests.cluster.person import PASSWORD
from tests.cluster.target import Target

_BROWSERS = ("chromium", "google-chrome")
_DRIVER = "chromedriver"
_PACKAGES = ("chromium", "chromium-driver")
"""Debian's packages, if none of those is installed."""

_WIDTH, _HEIGHT = 1000, 640
"""Pixels, including the window's borders."""
_SECONDS = 60.0
_RELEASE_NOTES_READ = "//button[contains(., 'Okay, Let')]"
"""Shown to administrators on their first visit to a release. Source: open-webui 0.12.4, ChangelogModal.svelte."""


class Browser:
    """Open WebUI in a browser. Every method raises Selenium's TimeoutException if the page is not as expected."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self._driver, self._url = driver, url

    def sign_in(self, name: str) -> None:
        """Opens the page, signs in, and closes the release notes."""
        self._driver.get(self._url)
        self._type("input#email", f"{name}@example.com")
        self._type("input#password", PASSWORD, Keys.ENTER)
        self._until(lambda _: self._clicked(_RELEASE_NOTES_READ))

    def ask(self, model: str, text: str, answer: str) -> None:
        """Sends a question in a new chat, and returns when the page shows this answer."""
        self._driver.get(f"{self._url}/?models={quote(model)}")
        self._type("#chat-input", text, Keys.ENTER)
        self._until(lambda _: any(answer in each.text for each in self._shown(By.CSS_SELECTOR, ".chat-assistant")))

    def picture(self, path: Path) -> None:
        """Takes a screenshot as PNG, after the last notification has disappeared."""
        self._until(lambda _: not self._shown(By.CSS_SELECTOR, "[data-sonner-toast]"))
        assert self._driver.save_screenshot(str(path))

    def _type(self, selector: str, *keys: str) -> None:
        def typed(_: object) -> bool:
            for element in self._shown(By.CSS_SELECTOR, selector):
                element.send_keys(*keys)
                return True
            return False

        self._until(typed)

    def _clicked(self, path: str) -> bool:
        for element in self._shown(By.XPATH, path):
            element.click()
            return True
        return False

    def _shown(self, by: str, what: str) -> list[WebElement]:
        return [each for each in self._driver.find_elements(by, what) if each.is_displayed()]

    def _until(self, met: Callable[[object], bool]) -> None:
        """Retries, because the page may replace or cover an element at any time."""
        unsteady = [StaleElementReferenceException, ElementNotInteractableException]
        WebDriverWait(self._driver, _SECONDS, ignored_exceptions=unsteady).until(met)


def ensure() -> tuple[str, str]:
    """The paths of a browser and of its driver; if there are none, Debian's are installed.

    Raises EnvironmentProblem if they cannot be installed.
    """
    for _ in range(2):
        browser, driver = next(filter(None, map(shutil.which, _BROWSERS)), None), shutil.which(_DRIVER)
        if browser and driver:
            return browser, driver
        packages.ensure(_PACKAGES)
    raise EnvironmentProblem(f"there is no {_DRIVER} for {' or '.join(_BROWSERS)}", "put both on PATH")


@contextmanager
def browser(cluster: Target, host: str, address: str) -> Iterator[Browser]:
    """A browser for the WebUI at `host`, whose address is `address`. Raises EnvironmentProblem if it cannot be installed."""
    with cluster.outside():
        program, driver_program = ensure()
    options = ChromeOptions()
    for each in (
        "headless=new",
        "no-sandbox",  # root cannot use the sandbox
        "disable-dev-shm-usage",
        f"window-size={_WIDTH},{_HEIGHT}",
        "force-device-scale-factor=1",
        "lang=en-US",
        "disable-background-networking",
        f"host-resolver-rules=MAP {host} {address}",
    ):
        options.add_argument(f"--{each}")
    options.binary_location = program
    driver = Chrome(options=options, service=ChromeService(driver_program))
    driver.set_page_load_timeout(_SECONDS)
    try:
        yield Browser(driver, f"http://{host}")
    finally:
        driver.quit()
