"""A person at a real browser: Chromium of Debian, without a window, driven by Selenium."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.cluster.node import packages
from tests.cluster.person import PASSWORD
from tests.cluster.target import Target

PACKAGES = ("chromium", "chromium-driver")

_WIDTH, _HEIGHT = 1000, 640
"""Pixels, with what a window has around its page."""
_SECONDS = 60.0


class Browser:
    """Open WebUI in a browser. Every method raises selenium's TimeoutException when the page does not get there."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def sign_in(self, url: str, name: str) -> None:
        """Opens the page and signs in."""
        self._driver.get(url)
        self._type("input#email", f"{name}@example.com")
        self._type("input#password", PASSWORD, Keys.ENTER)

    def ask(self, text: str, answer: str) -> None:
        """Types a question into a new chat, and returns when the page shows this answer."""
        self._type("#chat-input", text, Keys.ENTER)
        self._until(lambda _: any(answer in each.text for each in self._shown(".chat-assistant")))

    def picture(self, path: Path) -> None:
        """Writes what is seen as PNG, when the last notification has gone."""
        self._until(lambda _: not self._shown("[data-sonner-toast]"))
        assert self._driver.save_screenshot(str(path))

    def _type(self, selector: str, *keys: str) -> None:
        def typed(_: object) -> bool:
            for element in self._shown(selector):
                element.send_keys(*keys)
                return True
            return False

        self._until(typed)

    def _shown(self, selector: str) -> list[WebElement]:
        return [each for each in self._driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]

    def _until(self, met: Callable[[object], bool]) -> None:
        """The page may replace an element, or lay something over it, while one looks at it."""
        unsteady = [StaleElementReferenceException, ElementNotInteractableException]
        WebDriverWait(self._driver, _SECONDS, ignored_exceptions=unsteady).until(met)


@contextmanager
def browser(cluster: Target, host: str, address: str) -> Iterator[Browser]:
    """A browser for which `host` is at `address`. Raises EnvironmentProblem where it cannot be installed."""
    with cluster.outside():
        packages.ensure(PACKAGES)
    options = ChromeOptions()
    for each in (
        "headless=new",
        "no-sandbox",  # which root cannot have
        "disable-dev-shm-usage",
        f"window-size={_WIDTH},{_HEIGHT}",
        "force-device-scale-factor=1",
        "lang=en-US",
        "disable-background-networking",
        f"host-resolver-rules=MAP {host} {address}",
    ):
        options.add_argument(f"--{each}")
    options.binary_location = "/usr/bin/chromium"
    driver = Chrome(options=options, service=ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(_SECONDS)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
