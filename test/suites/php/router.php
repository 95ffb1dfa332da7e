<?php
// What the suite asks of PHP's built-in server: one case for each path. A path without a case is a file of the folder.
session_save_path($_SERVER['DOCUMENT_ROOT'] . '/sessions');

switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/hello':
        echo 'hello';
        break;
    case '/echo':
        header('Content-Type: application/json');
        echo json_encode([
            'method' => $_SERVER['REQUEST_METHOD'],
            'get' => $_GET,
            'post' => $_POST,
            'cookies' => $_COOKIE,
            'body' => strlen(file_get_contents('php://input')),
            'host' => $_SERVER['HTTP_HOST'],
        ]);
        break;
    case '/upload':
        echo hash_file('sha256', $_FILES['file']['tmp_name']), ' ', $_FILES['file']['name'], ' ', $_FILES['file']['size'];
        break;
    case '/sum':
        echo hash('sha256', file_get_contents('php://input'));
        break;
    case '/session':
        session_start();
        $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
        echo $_SESSION['visits'];
        break;
    case '/redirect':
        header('Location: /hello', true, 303);
        break;
    case '/cookies':
        setcookie('plain', 'a b');
        setcookie('strict', '1', ['secure' => true, 'httponly' => true, 'samesite' => 'Strict']);
        echo 'set';
        break;
    case '/parts':
        // Without a length, by several writes.
        for ($part = 0; $part < 64; $part++) {
            echo str_repeat(chr(97 + $part % 26), 16384);
            flush();
        }
        break;
    case '/length':
        header('Content-Length: 5');
        echo 'exact';
        break;
    case '/debug':
        // As debug bars do: one field of many kibibytes, and many fields.
        header('X-ChromeLogger-Data: ' . str_repeat('A', (int) $_GET['bytes']));
        for ($index = 0; $index < (int) $_GET['fields']; $index++) {
            header("X-Debug-$index: value $index");
        }
        echo 'debugged';
        break;
    case '/gzip':
        header('Content-Encoding: gzip');
        echo gzencode(str_repeat('compressed ', 1000));
        break;
    case '/no-content':
        http_response_code(204);
        break;
    case '/error':
        throw new RuntimeException('on purpose');
    case '/401':
        header('WWW-Authenticate: Basic realm="php"');
        if (($_SERVER['PHP_AUTH_USER'] ?? '') === 'me' && $_SERVER['PHP_AUTH_PW'] === 'secret: ü') {
            echo 'signed in';
        } else {
            http_response_code(401);
        }
        break;
    default:
        return false;
}
